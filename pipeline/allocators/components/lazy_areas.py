"""Areas that are unmapped without a flush, and their purge: one flush for all of them.

    pool.lazy      address space of unmapped areas that has not been returned, in pages; a shared counter
    pool.purging   1 while a task purges
    pool.short     1: a map has found no room since the last purge returned areas

An unmap makes its area LAZY and adds its length to `lazy`. If `lazy` then exceeds the threshold, a purge
begins: it collects all lazy areas, flushes the addresses from the lowest to the highest of them on every CPU,
and returns them to the address space under the lock. Only one task purges at a time; others do not wait for
it, except those that find no room.

The steps of a purge are numbered from PURGE on, in `r.step` of a map, an unmap or a worker. `r.mark` counts
the pages that it returns.

Source: N. Piggin, "mm: rewrite vmap layer", 2008 (Linux commit db64fe02258f), mm/vmalloc.c.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, SLEEP, STEP, UNLOCK, WAKE_ALL, WAKE_WORKER
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import change_atomically, flush_range, scan, touch
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.address_space import (
    FREE,
    LAZY,
    NONE,
    PURGING,
    SPACE_POOL,
    extents,
    give_back,
    lost_room,
)
from pipeline.jit.marks import inline, noinline

LAZY_PAGES = Option(
    "lazy_pages",
    0,
    minimum=0,
    maximum=1 << 22,
    help="lazy pages that a purge may leave unflushed; 0: 32 MiB times the bits of the number of CPUs",
)
LAZY_POOL = [*SPACE_POOL, ("lazy", "i8"), ("purging", "i4"), ("short", "i4")]

DRAIN = Option(
    "drain", "caller", choices=("caller", "worker"), help="who purges: the task that unmaps, or a worker"
)
_WORKER = 1

_COUNTER_LINE = 0
_TREE_LOCK = 0
_PAGES_OF_32_MIB = 8192

# Steps of a purge.
PURGE = 100
_LOCKING = 101
_RETURNING = 102
_RETURNED = 103
PURGED = 104


@inline
def limit(a: State, d: StepCost) -> int:
    """Lazy pages above which a purge begins (lazy_max_pages of Linux)."""
    if a.options[0].lazy_pages > 0:
        return a.options[0].lazy_pages
    bits = 0
    cpus = d.cpus
    while cpus > 0:
        bits += 1
        cpus >>= 1
    return bits * _PAGES_OF_32_MIB


@inline
def make_lazy(a: State, d: StepCost, first: int) -> bool:
    """Make an area lazy; return whether more is lazy than the limit allows."""
    change_atomically(a, d, _COUNTER_LINE)
    a.slots[first].state = LAZY
    a.pool[0].lazy += a.slots[first].length
    return a.pool[0].lazy > limit(a, d)


def counter_lines(options: dict[str, int], shape: Shape) -> int:
    """The line of the counter of lazy pages."""
    return 1


def purge_workers(options: dict[str, int], shape: Shape) -> int:
    """The worker that purges, if there is one."""
    return int(options["drain"] == _WORKER)


@inline
def make_room(a: State, r: Request, d: StepCost, again: int, sleeping: int) -> int:
    """A map that holds the lock has found no room: purge if something is lazy, or sleep.

    The map then continues at step `again`, or at `sleeping`, where it sleeps first.
    """
    # An unmap whose area is not lazy yet sees this before the task is in the wait queue.
    a.pool[0].short = 1
    if a.pool[0].lazy > 0 and a.pool[0].purging == 0:
        if a.options[0].drain == _WORKER:
            r.step = sleeping
            return WAKE_WORKER
        a.pool[0].purging = 1
        r.step = PURGE
        return UNLOCK
    r.step = again
    return SLEEP


@inline
def after_unmap(a: State, r: Request, d: StepCost, too_many: bool, done: int) -> int:
    """Purge, or wake the worker, if too many pages are lazy or tasks wait for room."""
    if too_many or a.pool[0].short == 1:
        if a.options[0].drain == _WORKER:
            r.step = done
            return WAKE_WORKER
        if a.pool[0].purging == 1:
            return DONE
        a.pool[0].purging = 1
        r.step = PURGE
        return STEP
    return DONE


@inline
def purge_step(a: State, r: Request, d: StepCost) -> int:
    """Take one step of a purge, from PURGE on; at PURGED it is over. A worker begins at step 0."""
    if r.step <= PURGE:
        a.pool[0].purging = 1
        r.mark = _collect(a, d)
        r.step = _LOCKING
        return FLUSH_ALL if r.mark > 0 else STEP
    if r.step == _LOCKING:
        r.step = _RETURNING
        d.lock = _TREE_LOCK
        return LOCK
    if r.step == _RETURNING:
        _return_all(a, d)
        change_atomically(a, d, _COUNTER_LINE)
        a.pool[0].lazy -= r.mark
        a.pool[0].short = 0
        a.pool[0].purging = 0
        r.step = _RETURNED
        return UNLOCK
    r.step = PURGED
    d.queue = 0
    return WAKE_ALL


@noinline
def _collect(a: State, d: StepCost) -> int:
    """Walk all areas and collect the lazy ones, whose addresses the flush of this step covers.

    Returns their pages.
    """
    at = 0
    walked = 0
    areas = 0
    pages = 0
    first = NONE
    end = 0
    while at < a.options[0].space_pages:
        extent = a.slots[at]
        if extent.state != FREE:
            walked += 1
        if extent.state == LAZY:
            extent.state = PURGING
            areas += 1
            pages += extent.length
            end = at + extent.length
            if first == NONE:
                first = at
        at += extent.length
    scan(d, walked, areas)
    if areas > 0:
        flush_range(d, first, end - first)
    return pages


@noinline
def _return_all(a: State, d: StepCost) -> None:
    """Return the collected areas to the address space, under the lock."""
    at = 0
    while at < a.options[0].space_pages:
        length = a.slots[at].length
        if a.slots[at].state == PURGING:
            touch(d, 1)
            give_back(a, at)
        at += length


def check_lazy(a: State) -> list[str]:
    """The counter must match the lazy areas among the extents."""
    lazy = sum(length for _, length, state in extents(a) if state in (LAZY, PURGING))
    return [] if lazy == int(a.pool[0].lazy) else [f"{int(a.pool[0].lazy)} lazy pages counted, {lazy} found"]


def lost_lazy(a: State, live: Check) -> list[str]:
    """No task may remain asleep while the address space is free, or could be made so by a purge."""
    lost = lost_room(a, live)
    if live.sleepers[0] and int(a.pool[0].lazy) > 0 and int(a.pool[0].purging) == 0:
        lost.append(f"{live.sleepers[0]} tasks sleep although {int(a.pool[0].lazy)} lazy pages can be purged")
    return lost
