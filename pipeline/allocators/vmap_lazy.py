"""vmap of 2008: unmapped areas stay lazy, and one flush returns them all when they are too many.

A map takes the lowest gap that is long enough, under the lock of the tree of areas. It walks the areas from
the lowest, and writes the PTEs later. An unmap looks its area up under the lock, clears the PTEs and makes
the area lazy without a flush. `lazy_pages` bounds the lazy pages. The task whose unmap exceeds it purges, see
components/lazy_areas.py. With `drain=worker` it wakes a worker that does, as kernels since about 5.18 do.

A map that finds no room purges, and sleeps if that does not help, until an unmap makes room. The kernel's
fails then.

Source: N. Piggin, "mm: rewrite vmap layer", 2008 (Linux commit db64fe02258f). Ours: the sleep, and the walk
from the lowest area (the kernel later stored where to begin).
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, LOCK, SLEEP, UNLOCK
from pipeline.allocators.api.contract import Check, Shape
from pipeline.allocators.api.effects import probe, touch, write_ptes
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.address_space import (
    GUARD_PAGES,
    NONE,
    SPACE_PAGES,
    SPACE_SLOT,
    check_space,
    depth,
    find_fit,
    length_of,
    prepare_space,
    space_slots,
    take,
)
from pipeline.allocators.components.given_addresses import take_at
from pipeline.allocators.components.lazy_areas import (
    DRAIN,
    LAZY_PAGES,
    LAZY_POOL,
    PURGE,
    PURGED,
    after_unmap,
    check_lazy,
    counter_lines,
    lost_lazy,
    make_lazy,
    make_room,
    purge_step,
    purge_workers,
)
from pipeline.jit.marks import inline
from pipeline.schema.codes import MISS

SUMMARY = "vmap of 2008: unmapped areas stay lazy; one flush returns all when they are too many"
SOURCE = "N. Piggin, mm: rewrite vmap layer, 2008, mm/vmalloc.c"
OPTIONS = (LAZY_PAGES, DRAIN, SPACE_PAGES, GUARD_PAGES)
POOL = LAZY_POOL
SLOT = SPACE_SLOT
AREAS = True
ATOMICS = True

_ASK = 0
_LOCKED = 1
_TAKEN = 2
_FOUND = 3
_SLEEPING = 4


def lock_names(options: dict[str, int], shape: Shape) -> tuple[str, ...]:
    """The lock of the tree of areas."""
    return ("tree",)


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take the lowest gap that is long enough; without one, have the lazy areas purged and try again."""
    if r.step >= PURGED:
        r.step = _ASK
    if r.step >= PURGE:
        return purge_step(a, r, d)
    if r.step == _ASK:
        r.step = _LOCKED
        return LOCK
    if r.step == _LOCKED:
        pages = length_of(a, r)
        begin, areas = find_fit(a, pages, 1)
        probe(d, areas + 1)
        if begin != NONE:
            touch(d, 1)
            take(a, begin, begin, pages)
            r.slot = begin
            r.served = MISS
            r.step = _TAKEN
            return UNLOCK
        return make_room(a, r, d, _ASK, _SLEEPING)
    if r.step == _SLEEPING:
        r.step = _ASK
        return SLEEP
    write_ptes(d, r.pages)
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Clear the PTEs of the area and make it lazy; purge if that is too much."""
    if r.step >= PURGED:
        return DONE
    if r.step >= PURGE:
        return purge_step(a, r, d)
    if r.step == _ASK:
        r.step = _LOCKED
        return LOCK
    if r.step == _LOCKED:
        probe(d, depth(a))
        r.step = _FOUND
        return UNLOCK
    if r.step == _FOUND:
        write_ptes(d, r.pages)
        return after_unmap(a, r, d, make_lazy(a, d, r.slot), PURGED)
    return DONE


@inline
def work_step(a: State, r: Request, d: StepCost) -> int:
    """Purge once."""
    if r.step >= PURGED:
        return DONE
    return purge_step(a, r, d)


def place(a: State, slot: int, pages: int, cpu: int) -> bool:
    """Make an area in use at a given address; False if the address is not free."""
    return take_at(a, slot, pages)


def check(a: State, live: Check) -> list[str]:
    """The areas must be the mappings or lazy, and the counter must match the lazy ones."""
    return check_space(a, live) + check_lazy(a)


slots = space_slots
lines = counter_lines
workers = purge_workers
prepare = prepare_space
lost_wakeups = lost_lazy
