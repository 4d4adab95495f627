"""Pools whose slots keep what they map, under one lock: what the designs with such pools have in common.

    pool[s].cursor   slot of series `s` looked at last, counted from the first of the series; starts at 0 and
                     is advanced before it is looked at
    slot.count       0   clean: no PTE, and no CPU can hold a stale translation; only such a slot may be taken
                     1   nobody uses it, but its PTE is there and TLBs may hold it: cached, not to be reused
                         before a flush
                     n   n - 1 users, n >= 2
    slot.page        the page it maps, where count >= 1
    page.slot        1 + the slot that caches the page; 0: none

A series is `size` slots with a cursor and a wait queue of its own; series `s` begins at slot s * size. One
lock, lock 0, is over all of them. The design must have the option `wake`.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api.actions import (
    COUNT_UNDERFLOW,
    DONE,
    FALLBACK,
    FLUSH_ALL,
    HIT,
    LOCK,
    MISS,
    REPEAT_ALL,
    SLEEP,
    UNLOCK,
    evict,
    invalidate_everywhere,
    probe,
    report_finding,
    scan,
    touch,
    touch_cached,
    write_pte,
)
from pipeline.allocators.api.contract import Check, Option
from pipeline.allocators.components.checks import left_asleep, problems_of_pages, problems_of_users
from pipeline.allocators.components.wake import wake
from pipeline.jit.marks import inline

FLUSH_IF_ANY = Option(
    "flush_if_any", False, help="skip the flush when the pass freed nothing (modern kernels)"
)

# Steps of a map.
ASK = 0
SEARCH = 1  # the lock is held: find the page or a slot
FLUSHED = 2  # the flush of a wrap is over: go on searching
GOT = 3  # the lock is released
ASK_AGAIN = 4  # woken


@inline
def map_cached(
    a: Any, r: Any, d: Any, s: int, size: int, first: int, last: int, flush: int, always: bool
) -> int:
    """Find the page's slot or take a clean one of series `s`; sleep in its queue if a whole pass finds none.

    At a wrap the slots from `first` to before `last` are passed over, then action `flush` is taken, unless
    the pass freed nothing and it need not be done `always`. If that action is REPEAT_ALL, the pass
    invalidates each slot that it makes clean.
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
        if _advance(a, r, d, s, size, first, last, flush, always):
            r.step = FLUSHED
            return flush
    return _search(a, r, d, s, size, first, last, flush, always)


@inline
def _advance(
    a: Any, r: Any, d: Any, s: int, size: int, first: int, last: int, flush: int, always: bool
) -> bool:
    """Move the cursor on; at a wrap pass over the slots and return whether a flush is due."""
    pool = a.pool[s]
    pool.cursor += 1
    probe(d, 1)
    if pool.cursor < size:
        return False
    pool.cursor = 0
    r.budget = size
    freed = 0
    in_use = 0
    for k in range(first, last):
        slot = a.slots[k]
        if slot.count == 1:
            slot.count = 0
            a.pages[slot.page].slot = 0
            evict(a, d, slot.page)
            if flush == REPEAT_ALL:
                invalidate_everywhere(a, d, k)
            freed += 1
        elif slot.count > 1:
            in_use += 1
    scan(d, last - first, freed, in_use)
    return freed > 0 or always


@inline
def _search(
    a: Any, r: Any, d: Any, s: int, size: int, first: int, last: int, flush: int, always: bool
) -> int:
    """Look at the slot under the cursor and go on from there."""
    pool = a.pool[s]
    while True:
        at = s * size + pool.cursor
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
        if _advance(a, r, d, s, size, first, last, flush, always):
            r.step = FLUSHED
            return flush


@inline
def fall_back(a: Any, r: Any, d: Any) -> int:
    """Let a pool for the machine, of the first `slots` slots, serve who found nothing where he came from.

    The design must have the options `slots` and `flush_if_any`, and begin at ASK_AGAIN.
    """
    slots = a.options[0].slots
    action = map_cached(a, r, d, 0, slots, 0, slots, FLUSH_ALL, not a.options[0].flush_if_any)
    if action == DONE:
        r.served = FALLBACK
    return action


# Steps of an unmap.
DROP = 1
WAKE = 2
END = 3


@inline
def unmap_cached(a: Any, r: Any, d: Any, s: int) -> int:
    """Drop one use of a slot of series `s`; wake its sleepers, after the release, if nobody uses it now."""
    if r.step == ASK:
        r.step = DROP
        return LOCK
    if r.step == DROP:
        touch_cached(d, 1)
        slot = a.slots[r.slot]
        slot.count -= 1
        if slot.count == 0:
            report_finding(d, COUNT_UNDERFLOW)
        r.step = WAKE if slot.count == 1 and a.queues[s].sleepers > 0 else END
        return UNLOCK
    if r.step == WAKE:
        r.step = END
        d.queue = s
        return wake(a)
    return DONE


def set_cursor(a: Any, cursor: int) -> None:
    """Take over a pool of one series whose cursor stands at `cursor`."""
    a.pool[0].cursor = cursor


def adopt_slot(a: Any, slot: int, page: int, count: int) -> None:
    """Take over a slot as it is found, with `count` >= 1; page -1: not known, and never asked for."""
    a.slots[slot].count = count
    if page >= 0:
        a.slots[slot].page = page
        a.pages[page].slot = slot + 1


def problems_of_pools(a: Any, live: Check, slots: int) -> list[str]:
    """Counts of the first `slots` slots must match the live mappings, and pages their slots."""
    counts = [int(a.slots[s].count) for s in range(slots)]
    taken = [s for s, count in enumerate(counts) if count > 0]
    return problems_of_users(live, (max(count - 1, 0) for count in counts)) + problems_of_pages(a, taken)


def lost_wakeups_in_pools(a: Any, live: Check, series: int, size: int) -> list[str]:
    """Nobody may be left asleep in a series unless each of its slots is in use."""
    lost_wakeups = []
    for s in range(series):
        idle = sum(int(a.slots[k].count) < 2 for k in range(s * size, (s + 1) * size))
        lost_wakeups += left_asleep(live, s, idle)
    return lost_wakeups
