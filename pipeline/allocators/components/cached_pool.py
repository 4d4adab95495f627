"""Pools of cached mappings under one lock: the common part of the designs with such pools.

    pool[s].cursor   slot of series `s` examined last, counted from the first slot of the series; starts at 0
                     and advances before each examination
    slot.count is not a pure use count:
                     0   clean: no PTE, and no TLB holds a stale translation; only a clean slot may be taken
                     1   cached and unused: the PTE is present and TLBs may hold it; not reusable before a
                         flush
                     n   n - 1 users, n >= 2
    slot.page        the mapped page, if count >= 1
    page.slot        1 + the slot that caches the page; 0: none

A series is `size` slots with its own cursor and wait queue: consecutive slots, or every `stride`-th slot from
its first on. One lock, lock 0, protects all series. The design must have the option `wake`.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, REPEAT_ALL, SLEEP, UNLOCK
from pipeline.allocators.api.contract import Check, Option
from pipeline.allocators.api.effects import (
    evict,
    flush_range,
    invalidate_everywhere,
    probe,
    report_finding,
    scan,
    touch,
    touch_cached,
    write_pte,
)
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.checks import check_pages, check_sleepers, check_users
from pipeline.allocators.components.wake import ASK, DROP, END, WAKE, unmap_around_drop, wake
from pipeline.jit.marks import inline
from pipeline.schema.codes import COUNT_UNDERFLOW, FALLBACK, HIT, MISS

FLUSH_IF_ANY = Option("flush_if_any", False, help="skip the flush if the scan freed nothing (modern kernels)")

# Steps of a map, from ASK on.
SEARCH = 1  # the lock is held: find the page or a slot
FLUSHED = 2  # the flush of a wrap has ended: continue the search
GOT = 3  # the lock is released
ASK_AGAIN = 4  # after waking


@inline
def map_cached(
    a: State,
    r: Request,
    d: StepCost,
    s: int,
    size: int,
    start: int,
    stride: int,
    first: int,
    last: int,
    flush: int,
    always: bool,
) -> int:
    """Find the page's slot or take a clean one of series `s`; sleep in its queue if a whole pass finds none.

    The series is every `stride`-th of `size` slots from slot `start` on. A wrap scans the slots from `first`
    up to, but not including, `last`. Action `flush` follows if the scan freed a slot or `always` is set. If
    that action is REPEAT_ALL, the scan invalidates each slot that it makes clean.
    """
    if r.step in (ASK, ASK_AGAIN):
        r.step = SEARCH
        return LOCK
    if r.step == GOT:
        return DONE
    if r.step == SEARCH:
        r.budget = size
        touch(d, 1)
        cached = a.pages[r.page].slot - 1
        if cached >= 0:
            touch(d, 1)
            a.slots[cached].count += 1
            r.slot = cached
            r.served = HIT
            r.step = GOT
            return UNLOCK
    return _search(a, r, d, s, size, start, stride, first, last, flush, always)


@inline
def _search(
    a: State,
    r: Request,
    d: StepCost,
    s: int,
    size: int,
    start: int,
    stride: int,
    first: int,
    last: int,
    flush: int,
    always: bool,
) -> int:
    """Examine the slots after the cursor; at a wrap, scan them, and flush if required."""
    pool = a.pool[s]
    # After a flush, the search continues at the cursor itself.
    advance = r.step == SEARCH
    while True:
        if advance:
            pool.cursor += 1
            probe(d, 1)
            if pool.cursor == size:
                pool.cursor = 0
                r.budget = size
                freed = _make_clean(a, d, first, last, flush == REPEAT_ALL)
                if freed > 0 or always:
                    r.step = FLUSHED
                    flush_range(d, first, last - first)
                    return flush
        at = start + pool.cursor * stride
        slot = a.slots[at]
        if slot.count == 0:
            touch(d, 1)
            write_pte(d)
            slot.count = 2
            slot.page = r.page
            a.pages[r.page].slot = at + 1
            r.slot = at
            r.served = MISS
            r.step = GOT
            return UNLOCK
        r.budget -= 1
        if r.budget == 0:
            r.step = ASK_AGAIN
            d.queue = s
            return SLEEP
        advance = True


@inline
def _make_clean(a: State, d: StepCost, first: int, last: int, everywhere: bool) -> int:
    """Scan the slots and make the unused ones clean; return how many."""
    freed = 0
    for k in range(first, last):
        slot = a.slots[k]
        if slot.count == 1:
            slot.count = 0
            a.pages[slot.page].slot = 0
            evict(a, d, slot.page)
            if everywhere:
                invalidate_everywhere(a, d, k)
            freed += 1
    scan(d, last - first, freed)
    return freed


@inline
def fall_back(a: State, r: Request, d: StepCost) -> int:
    """Map in the machine's pool, the first `slots` slots, for a task that found no slot elsewhere.

    The design must have the options `slots` and `flush_if_any`, and begin at ASK_AGAIN.
    """
    slots = a.options[0].slots
    action = map_cached(a, r, d, 0, slots, 0, 1, 0, slots, FLUSH_ALL, not a.options[0].flush_if_any)
    if action == DONE:
        r.served = FALLBACK
    return action


@inline
def unmap_cached(a: State, r: Request, d: StepCost, s: int) -> int:
    """Drop one use of a slot of series `s`; after the release, wake its sleepers if the slot is unused."""
    if r.step != DROP:
        return unmap_around_drop(r, d, s, wake(a))
    touch_cached(d, 1)
    slot = a.slots[r.slot]
    slot.count -= 1
    if slot.count == 0:
        report_finding(d, COUNT_UNDERFLOW)
    r.step = WAKE if slot.count == 1 and a.queues[s].sleepers > 0 else END
    return UNLOCK


def set_cursor(a: State, cursor: int) -> None:
    """Take over a pool of one series with its cursor at `cursor`."""
    a.pool[0].cursor = cursor


def adopt_slot(a: State, slot: int, page: int, count: int) -> None:
    """Take over a slot in use, with `count` >= 1; page -1: unknown, and never requested."""
    a.slots[slot].count = count
    if page >= 0:
        a.slots[slot].page = page
        a.pages[page].slot = slot + 1


def check_pools(a: State, live: Check, slots: int | None = None) -> list[str]:
    """Counts of the first `slots` slots, or of all, must match the live mappings, and pages their slots."""
    counts = a.slots.count[:slots].tolist()
    taken = [s for s, count in enumerate(counts) if count > 0]
    return check_users(live, (max(count - 1, 0) for count in counts)) + check_pages(a, taken)


def lost_wakeups_in_pools(
    a: State, live: Check, slots: int | None = None, interleaved: bool = False
) -> list[str]:
    """No task may remain asleep in a series unless all its slots (among the first `slots`) are in use.

    The slots of a series are contiguous, or `interleaved` with those of the others.
    """
    idle = a.slots.count[:slots] < 2
    idle = idle.reshape(-1, len(a.pool)).T if interleaved else idle.reshape(len(a.pool), -1)
    return [text for s, row in enumerate(idle) for text in check_sleepers(live, s, int(row.sum()))]
