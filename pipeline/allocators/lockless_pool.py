"""A pool of cached mappings without a lock: counts are changed atomically (Zijlstra, January 2007).

    pool.hand      slot looked at last; every search advances it
    slot.count     0 one task's own, 1 free, n: n - 1 users; it, slot.page, pool.freed as in atomic_counts.py
    slot.next      1 + the next slot that the same task has claimed to have it flushed; 0: none
    page.slot      1 + the slot that caches the page; 0: none

A page that has a slot is mapped by counting up, unless the count is 0 or the slot has another page by then.
Otherwise the hand advances until a free slot is found, which is claimed (1 to 0) and will be the page's. A
clean one is used at once. If it still maps a page, the slots ahead of the hand, which stays, are looked at,
and up to `tlb_batch` more such slots are claimed; one flush of every TLB, with nothing locked, makes all of
them clean, and those ahead are given back, for the hand to come by. If the page was mapped by somebody else
meanwhile, the slot is given back and that mapping used.

Whoever makes a slot free, by the last unmap or by giving it back, wakes the sleepers: for that it takes the
lock of the wait queue (lock 0), whether anybody sleeps or not. It is the design's only lock.

A task that finds no free slot in a whole round sleeps, unless one became free since the round began: `freed`
is compared and the queue joined with the queue's lock held, so that no wake-up is lost, as the posted version
could. Woken, it searches again, and looks for its page only when it has a slot.

Source: P. Zijlstra, linux-kernel, January 2007, on kmap_high without its lock; mm/highmem.c of the -rt
kernels (pkmap_try_free, pkmap_get_free, pkmap_put). Ours: the line of memory that a count lies in goes from
CPU to CPU at each change or attempt; each advance of the hand is such a change. A clean slot ahead of the
hand is left alone, where the source claims it and gives it back at once.
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
    Option(
        "tlb_batch", 32, minimum=1, maximum=1 << 16, help="further slots that a flush makes clean, at most"
    ),
    Option("counts_per_line", 16, minimum=1, maximum=64, help="counts in one line of memory"),
    WAKE_OPTION,
)
POOL = [("hand", "i4"), ("freed", "i8")]
SLOT = [("count", "i4"), ("next", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]
ATOMICS = True


# The hand's, then those of the counts.
lines = count_lines


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """On one CPU, its cache holds every line."""
    return {"counts_per_line": "more than one CPU"} if cpus == 1 else {}


def prepare(a: State, shape: Shape) -> None:
    """Every slot is free and clean."""
    a.slots.count = 1
    a.slots.page = -1


# Steps of a map.
_ASK = 0
_COUNT_UP = 1
_SEARCH = 2
_FREED = 3  # a slot became free: the lock of the queue is held
_WAKE = 4
_GO_ON = 5  # give the next slot back, or let the page have the slot that was kept
_PUBLISH = 6
_NONE = 7
_JOIN = 8  # the lock of the queue is held
# Steps of an unmap, beside _FREED and _WAKE.
_END = 9


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
    """Go round with the hand at most once; claim a slot, and more of them if it must be flushed."""
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
    """Claim free slots after `at` that must be flushed too; `r.budget` begins their list, last first."""
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
    """A slot that the task has for itself maps its page no more."""
    slot = a.slots[at]
    a.pages[slot.page].slot = 0
    evict(a, d, slot.page)
    slot.page = -1
    touch(d, 1)
    write_pte(d)


@inline
def _publish(a: State, r: Request, d: StepCost) -> int:
    """Let the page have the claimed slot, unless somebody has given it one meanwhile."""
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
    """Release the queue's lock, and wake sleepers if there are any; then comes step `after`."""
    if r.step == _WAKE:
        r.step = after
        return wake(a)
    r.step = _WAKE if a.queues[0].sleepers > 0 else after
    return UNLOCK


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Count down; wake the sleepers if the slot is free now."""
    if r.step == _END:
        return DONE
    if r.step in (_FREED, _WAKE):
        return _wake_sleepers(a, r, _END)
    if count_down(a, d, r.slot):
        r.step = _FREED
        return LOCK
    r.step = _END
    return STEP


# Counts must match the live mappings, pages their slots, and nobody be asleep beside a free slot.
check = check_counts
lost_wakeups = lost_wakeups_beside_free
