"""A pool of cached mappings without a lock: counts are changed atomically (Zijlstra, January 2007).

    pool.hand      slot examined last; every search advances it
    slot.count     0: claimed by one task; 1: free; n: n - 1 users; slot.count, slot.page and pool.freed are
                   as in components/atomic_counts.py
    slot.next      1 + the next slot that the same task has claimed for its flush; 0: none
    page.slot      1 + the slot that caches the page; 0: none

A map of a page that has a slot increments the slot's count, unless the count is 0 or the slot maps another
page by then. Otherwise the hand advances until it finds a free slot. The task claims that slot (1 to 0) for
the page. A clean slot is used immediately. If the slot still maps a page, the task examines the slots ahead
of the hand, without moving it, and claims up to `tlb_batch` more of them that are not clean. One flush of
every TLB, with no lock held, makes all of these slots clean. The task then releases the slots ahead of the
hand for later searches. If another task has mapped the page in the meantime, the slot is released and that
mapping is used.

A task that frees a slot, by the last unmap or by releasing a claim, wakes the sleepers. For this it takes the
lock of the wait queue (lock 0) even if no task sleeps. This is the design's only lock.

A task that finds no free slot in a whole round sleeps, unless a slot became free since the round began. It
compares `freed` and joins the queue with the queue's lock held, so no wake-up is lost, as was possible in the
posted version. After waking, it searches again, and looks up its page only when it has a slot.

Source: P. Zijlstra, linux-kernel, January 2007, on kmap_high without its lock; mm/highmem.c of the -rt
kernels (pkmap_try_free, pkmap_get_free, pkmap_put). Ours: the cache line of a count moves between CPUs at
each change or attempt, and each advance of the hand is such a change; a clean slot ahead of the hand is left
alone, where the source claims and immediately releases it.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, SLEEP, STEP, UNLOCK
from pipeline.allocators.api.contract import Option, Shape
from pipeline.allocators.api.effects import change_atomically, evict, flush_range, probe, touch, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.atomic_counts import (
    change_count,
    check_counts,
    claim,
    count_down,
    count_lines,
    count_up,
    give_back,
    lost_wakeups_beside_free,
)
from pipeline.allocators.components.wake import WAKE_OPTION, wake
from pipeline.jit.marks import inline
from pipeline.schema.codes import HIT, MISS

SUMMARY = "no lock over the pool: atomic counts, one global flush for a batch of slots"
SOURCE = "P. Zijlstra, linux-kernel, January 2007"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool"),
    Option("tlb_batch", 32, minimum=1, maximum=1 << 16, help="maximum number of further slots per flush"),
    Option("counts_per_line", 16, minimum=1, maximum=64, help="counts in one cache line"),
    WAKE_OPTION,
)
POOL = [("hand", "i4"), ("freed", "i8")]
SLOT = [("count", "i4"), ("next", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]
ATOMICS = True


# The line of the hand, then those of the counts.
lines = count_lines


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """With one CPU, its cache holds every line."""
    return {"counts_per_line": "more than one CPU"} if cpus == 1 else {}


def prepare(a: State, shape: Shape) -> None:
    """Start with every slot free and clean."""
    a.slots.count = 1
    a.slots.page = -1


# Steps of a map.
_ASK = 0
_COUNT_UP = 1
_SEARCH = 2
_FREED = 3  # a slot became free: the queue's lock is held
_WAKE = 4
_GO_ON = 5  # release the next claimed slot, or map the page in the slot that was kept
_PUBLISH = 6
_NONE = 7
_JOIN = 8  # the queue's lock is held
# Steps of an unmap, in addition to _FREED and _WAKE.
_END = 9


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Increment the count of the page's slot, or claim a free slot; flush a batch if it is not clean."""
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
        r.step = _JOIN
        return LOCK
    if r.step == _JOIN:
        r.step = _SEARCH
        return SLEEP if a.pool[0].freed == r.mark else UNLOCK
    if r.step in (_FREED, _WAKE):
        return _wake_sleepers(a, r, _GO_ON)
    if r.step == _GO_ON and r.budget > 0:
        ahead = r.budget - 1
        r.budget = a.slots[ahead].next
        give_back(a, d, ahead)
        r.step = _FREED
        return LOCK
    if r.slot < 0:
        r.step = _COUNT_UP
        return STEP
    return _publish(a, r, d)


@inline
def _search(a: State, r: Request, d: StepCost) -> int:
    """Advance the hand at most one round; claim a slot, and more slots if it needs a flush."""
    pool = a.pool[0]
    r.mark = pool.freed
    r.budget = 0
    slots = a.options[0].slots
    at = 0
    found = False
    for _ in range(slots):
        change_atomically(a, d, 0)
        pool.hand = pool.hand + 1 if pool.hand + 1 < slots else 0
        probe(d, 1)
        at = pool.hand
        found = claim(a, d, at)
        if found:
            break
    if not found:
        r.step = _NONE
        return STEP
    r.slot = at
    if a.slots[at].page < 0:
        r.step = _PUBLISH
        return STEP
    _forget(a, d, at)
    _scan_ahead(a, r, d, at)
    r.step = _GO_ON
    flush_range(d, 0, slots)
    return FLUSH_ALL


@inline
def _scan_ahead(a: State, r: Request, d: StepCost, at: int) -> None:
    """Claim free slots after `at` that also need a flush; `r.budget` heads their list, last claimed first."""
    slots = a.options[0].slots
    claimed = 0
    for _ in range(slots):
        if claimed == a.options[0].tlb_batch:
            break
        at = at + 1 if at + 1 < slots else 0
        probe(d, 1)
        if a.slots[at].page < 0:
            change_count(a, d, at, 0)
        elif claim(a, d, at):
            _forget(a, d, at)
            a.slots[at].next = r.budget
            r.budget = at + 1
            claimed += 1


@inline
def _forget(a: State, d: StepCost, at: int) -> None:
    """Drop the page of a slot that the task has claimed."""
    slot = a.slots[at]
    a.pages[slot.page].slot = 0
    evict(a, d, slot.page)
    slot.page = -1
    touch(d, 1)
    write_pte(d)


@inline
def _publish(a: State, r: Request, d: StepCost) -> int:
    """Map the page in the claimed slot, unless another task has mapped it in the meantime."""
    touch(d, 1)
    r.mark = a.pages[r.page].slot
    if r.mark > 0:
        r.step = _FREED
        give_back(a, d, r.slot)
        r.slot = -1
        return LOCK
    a.pages[r.page].slot = r.slot + 1
    a.slots[r.slot].page = r.page
    write_pte(d)
    change_count(a, d, r.slot, 2)
    r.served = MISS
    return DONE


@inline
def _wake_sleepers(a: State, r: Request, after: int) -> int:
    """Release the queue's lock and wake sleepers, if any; `after` is the next step."""
    if r.step == _WAKE:
        r.step = after
        return wake(a)
    r.step = _WAKE if a.queues[0].sleepers > 0 else after
    return UNLOCK


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Decrement the count; wake the sleepers if the slot became free."""
    if r.step == _END:
        return DONE
    if r.step in (_FREED, _WAKE):
        return _wake_sleepers(a, r, _END)
    if count_down(a, d, r.slot):
        r.step = _FREED
        return LOCK
    r.step = _END
    return STEP


# Counts must match the live mappings and pages their slots; no task sleeps while a slot is free.
check = check_counts
lost_wakeups = lost_wakeups_beside_free
