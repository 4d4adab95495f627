"""A pool of cached mappings without a lock: counts are changed atomically (Zijlstra, January 2007).

    pool.hand      slot looked at last; every search advances it
    slot.count     0 one task's own, 1 free, n: n - 1 users; it, slot.page, pool.freed as in atomic_counts.py
    slot.next      1 + the next slot that the same task has claimed to have it flushed; 0: none
    page.slot      1 + the slot that caches the page; 0: none

A page that has a slot is mapped by counting up, unless the count is 0 or the slot has another page by then.
Otherwise the hand advances until a free slot is found, which is claimed (1 to 0). A clean one is used at
once. If it still maps a page, up to `tlb_batch` - 1 more such slots are claimed in one go; one flush of every
TLB, with nothing locked, makes all of them clean, and the others are given back. If the page was mapped by
somebody else meanwhile, the slot is given back and that mapping used.

A task that finds no free slot in a whole round sleeps, unless one became free since the round began: `freed`
is compared and the queue joined in one instant, so that no wake-up is lost, as the posted version could.

Source: P. Zijlstra, linux-kernel, January 2007, on kmap_high without its lock. Ours: the line of
memory that a count lies in goes from CPU to CPU at each change; each advance of the hand is such a change.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, SLEEP, STEP
from pipeline.allocators.api.contract import Option, Shape
from pipeline.allocators.api.effects import change_atomically, evict, probe, touch, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.atomic_counts import (
    change_count,
    check_counts,
    count_down,
    count_freed,
    count_lines,
    count_up,
    lost_wakeups_beside_free,
)
from pipeline.allocators.components.wake import WAKE_OPTION
from pipeline.jit.marks import inline
from pipeline.schema.codes import HIT, MISS

SUMMARY = "no lock: atomic counts, one global flush for a batch of slots, contention line by line"
SOURCE = "P. Zijlstra, linux-kernel, January 2007"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool"),
    Option("tlb_batch", 32, minimum=1, maximum=1 << 16, help="slots made clean by one flush, at most"),
    Option("counts_per_line", 16, minimum=1, maximum=64, help="counts in one line of memory"),
    WAKE_OPTION,
)
POOL = [("hand", "i4"), ("freed", "i8")]
SLOT = [("count", "i4"), ("next", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]
ATOMICS = True


# The hand's, then those of the counts.
lines = count_lines


def prepare(a: State, shape: Shape) -> None:
    """Every slot is free and clean."""
    a.slots.count = 1
    a.slots.page = -1


# Steps of a map.
_ASK = 0
_COUNT_UP = 1
_SEARCH = 2
_FLUSHED = 3
_PUBLISH = 4
_NONE = 5
_DROPPED = 1  # of an unmap


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Count up the page's slot, or claim a free one; flush a batch of them if none is clean."""
    if r.step == _ASK:
        touch(d, 1)
        r.mark = a.pages[r.page].slot
        r.step = _COUNT_UP if r.mark > 0 else _SEARCH
        return STEP
    if r.step == _COUNT_UP:
        if count_up(a, r, d, r.mark - 1):
            r.slot = r.mark - 1
            r.served = HIT
            return DONE
        r.step = _SEARCH
        return STEP
    if r.step == _SEARCH:
        return _search(a, r, d)
    if r.step == _NONE:
        # Nothing is spent in this step: between the comparison and the sleep no time passes.
        if a.pool[0].freed != r.mark:
            r.step = _SEARCH
            return STEP
        r.step = _ASK
        return SLEEP
    if r.step == _FLUSHED:
        r.step = _PUBLISH
        return _give_back(a, r, d)
    return _publish(a, r, d)


@inline
def _search(a: State, r: Request, d: StepCost) -> int:
    """Go round with the hand at most once; claim a clean slot, or a batch of such as must be flushed."""
    pool = a.pool[0]
    r.mark = pool.freed
    r.budget = 0
    claimed = 0
    for _ in range(a.options[0].slots):
        change_atomically(a, d, 0)
        pool.hand = pool.hand + 1 if pool.hand + 1 < a.options[0].slots else 0
        probe(d, 1)
        at = pool.hand
        slot = a.slots[at]
        if slot.count != 1 or (slot.page < 0 and claimed > 0):
            continue
        change_count(a, d, at, -1)
        if slot.page < 0:
            r.slot = at
            r.step = _PUBLISH
            return STEP
        a.pages[slot.page].slot = 0
        evict(a, d, slot.page)
        slot.page = -1
        touch(d, 1)
        write_pte(d)
        slot.next = r.budget
        r.budget = at + 1
        claimed += 1
        if claimed == a.options[0].tlb_batch:
            break
    if claimed == 0:
        r.step = _NONE
        return STEP
    r.step = _FLUSHED
    return FLUSH_ALL


@inline
def _give_back(a: State, r: Request, d: StepCost) -> int:
    """Keep the last slot that was claimed and give back the others, which are clean now."""
    r.slot = r.budget - 1
    others = a.slots[r.slot].next
    freed = 0
    while others > 0:
        change_count(a, d, others - 1, 1)
        freed += 1
        others = a.slots[others - 1].next
    return count_freed(a, freed)


@inline
def _publish(a: State, r: Request, d: StepCost) -> int:
    """Let the page have the claimed slot, unless somebody has given it one meanwhile."""
    touch(d, 1)
    r.mark = a.pages[r.page].slot
    if r.mark > 0:
        change_count(a, d, r.slot, 1)
        r.slot = -1
        r.step = _COUNT_UP
        return count_freed(a, 1)
    a.pages[r.page].slot = r.slot + 1
    a.slots[r.slot].page = r.page
    write_pte(d)
    change_count(a, d, r.slot, 2)
    r.served = MISS
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Count down; wake the sleepers if the slot is free now."""
    if r.step == _DROPPED:
        return DONE
    r.step = _DROPPED
    return count_down(a, d, r.slot)


# Counts must match the live mappings, pages their slots, and nobody be asleep beside a free slot.
check = check_counts
lost_wakeups = lost_wakeups_beside_free
