"""vmap before 2.6.28: one list of areas under one lock, and a global flush at each unmap.

A map walks the list from its start to the first gap that is long enough (first fit), under the lock, and then
writes the PTEs. An unmap walks the list to its area, clears the PTEs, flushes the addresses on every CPU, and
removes the area. It holds the lock throughout, so all other maps and unmaps wait for the flush.

A map that finds no room sleeps until an area is unmapped. The kernel's fails instead.

Source: Linux 2.6.27, mm/vmalloc.c. Ours: the sleep.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, SLEEP, UNLOCK, WAKE_ALL
from pipeline.allocators.api.contract import Shape
from pipeline.allocators.api.effects import flush_range, probe, touch, write_ptes
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.address_space import (
    GUARD_PAGES,
    NONE,
    SPACE_PAGES,
    SPACE_POOL,
    SPACE_SLOT,
    areas_before,
    check_space,
    find_fit,
    give_back,
    length_of,
    lost_room,
    prepare_space,
    space_slots,
    take,
)
from pipeline.jit.marks import inline
from pipeline.schema.codes import MISS

SUMMARY = "vmap of 2.6.27: areas in one list under one lock; each unmap flushes every TLB under it"
SOURCE = "Linux 2.6.27, mm/vmalloc.c"
OPTIONS = (SPACE_PAGES, GUARD_PAGES)
POOL = SPACE_POOL
SLOT = SPACE_SLOT
AREAS = True

_ASK = 0
_LOCKED = 1
_TAKEN = 2
_FLUSHED = 3
_REMOVED = 4
_WOKEN = 5


def lock_names(options: dict[str, int], shape: Shape) -> tuple[str, ...]:
    """The lock of the list."""
    return ("list",)


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Under the lock, take the first gap of the list that is long enough; then write the PTEs."""
    if r.step == _ASK:
        r.step = _LOCKED
        return LOCK
    if r.step == _LOCKED:
        pages = length_of(a, r)
        begin, areas = find_fit(a, pages, 1)
        probe(d, areas + 1)
        if begin == NONE:
            r.step = _ASK
            return SLEEP
        touch(d, 1)
        take(a, begin, begin, pages)
        r.slot = begin
        r.served = MISS
        r.step = _TAKEN
        return UNLOCK
    write_ptes(d, r.pages)
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Under the lock, find the area in the list, clear its PTEs, flush every TLB and remove it."""
    if r.step == _ASK:
        r.step = _LOCKED
        return LOCK
    if r.step == _LOCKED:
        probe(d, areas_before(a, r.slot) + 1)
        write_ptes(d, r.pages)
        flush_range(d, r.slot, a.slots[r.slot].length)
        r.step = _FLUSHED
        return FLUSH_ALL
    if r.step == _FLUSHED:
        touch(d, 1)
        give_back(a, r.slot)
        r.step = _REMOVED
        return UNLOCK
    if r.step == _REMOVED and a.queues[0].sleepers > 0:
        r.step = _WOKEN
        return WAKE_ALL
    return DONE


slots = space_slots
prepare = prepare_space
check = check_space
lost_wakeups = lost_room
