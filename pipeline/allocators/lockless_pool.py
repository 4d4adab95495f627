"""A pool of cached mappings without a lock: counts are changed atomically (Zijlstra, January 2007).

    pool.hand      slot looked at last; whoever looks for one advances it
    pool.freed     how often a slot became free

    slot.count     0   one task has it for itself, to give it another page or to have it flushed
                   1   free, whether it still maps a page or is clean
                   n   n - 1 users, n >= 2
    slot.page      the page it maps; -1: it is clean, and no CPU can hold a stale translation
    slot.next      1 + the next slot that the same task has claimed to have it flushed; 0: none

    page.slot      1 + the slot that caches the page; 0: none

A page that has a slot is mapped by counting up, unless the count is 0 or the slot has another page by then.
Otherwise the hand advances until a free slot is found, which is claimed (1 to 0). A clean one is used at
once. If it still maps a page, up to `tlb_batch` - 1 more such slots are claimed in one go; one flush of every
TLB, with nothing locked, makes all of them clean, and the others are given back. If the page was mapped by
somebody else meanwhile, the slot is given back and that mapping used.

Who finds no free slot in a whole round sleeps, unless one became free since the round began: `freed` is
compared and the queue joined in one instant, so that no wake-up is lost, as the posted version could.

Source: P. Zijlstra, linux-kernel, January 2007, on kmap_high without its lock. Ours: the line of
memory that a count lies in goes from CPU to CPU at each change; each advance of the hand is such a change.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.contract import Check, Option, Shape
from pipeline.allocators.shared.cached_pool import WAKE_OPTION
from pipeline.machine.simulator.actions import (
    DONE,
    FLUSH_ALL,
    HIT,
    MISS,
    SLEEP,
    STEP,
    WAKE_ALL,
    WAKE_ONE,
    change_atomically,
    evict,
    probe,
    touch,
    write_pte,
)
from pipeline.machine.simulator.kernel import kernel

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


def slots(options: dict[str, int], shape: Shape) -> int:
    """The pool's slots, for the whole machine."""
    return options["slots"]


def lines(options: dict[str, int], shape: Shape) -> int:
    """The hand's, then those of the counts."""
    return 1 + -(-options["slots"] // options["counts_per_line"])


def prepare(a: Any, shape: Shape) -> None:
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


@kernel
def _change(a: Any, d: Any, at: int, by: int) -> None:
    """Change the count of a slot."""
    change_atomically(a, d, 1 + at // a.options[0].counts_per_line)
    a.slots[at].count += by


@kernel
def _wake_if(a: Any, freed: int) -> int:
    """The action after `freed` slots became free."""
    a.pool[0].freed += freed
    if freed == 0 or a.queues[0].sleepers == 0:
        return STEP
    return WAKE_ONE if a.options[0].wake == 1 else WAKE_ALL


@kernel
def map_step(a: Any, r: Any, d: Any) -> int:
    """Count up the page's slot, or claim a free one; flush a batch of them if none is clean."""
    if r.step == _ASK:
        touch(d, 1)
        r.mark = a.pages[r.page].slot
        r.step = _COUNT_UP if r.mark > 0 else _SEARCH
        return STEP
    if r.step == _COUNT_UP:
        at = r.mark - 1
        same = a.slots[at].count > 0 and a.slots[at].page == r.page
        _change(a, d, at, 1 if same else 0)
        if same:
            r.slot = at
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


@kernel
def _search(a: Any, r: Any, d: Any) -> int:
    """Go round with the hand at most once; claim a clean slot, or a batch of such as must be flushed."""
    pool = a.pool[0]
    r.mark = pool.freed
    r.budget = 0
    claimed = 0
    for _ in range(a.options[0].slots):
        change_atomically(a, d, 0)
        pool.hand += 1
        if pool.hand == a.options[0].slots:
            pool.hand = 0
        probe(d, 1)
        at = pool.hand
        slot = a.slots[at]
        if slot.count != 1 or (slot.page < 0 and claimed > 0):
            continue
        _change(a, d, at, -1)
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


@kernel
def _give_back(a: Any, r: Any, d: Any) -> int:
    """Keep the last slot that was claimed and give back the others, which are clean now."""
    r.slot = r.budget - 1
    others = a.slots[r.slot].next
    freed = 0
    while others > 0:
        _change(a, d, others - 1, 1)
        freed += 1
        others = a.slots[others - 1].next
    return _wake_if(a, freed)


@kernel
def _publish(a: Any, r: Any, d: Any) -> int:
    """Let the page have the claimed slot, unless somebody has given it one meanwhile."""
    touch(d, 1)
    r.mark = a.pages[r.page].slot
    if r.mark > 0:
        _change(a, d, r.slot, 1)
        r.slot = -1
        r.step = _COUNT_UP
        return _wake_if(a, 1)
    a.pages[r.page].slot = r.slot + 1
    a.slots[r.slot].page = r.page
    write_pte(d)
    _change(a, d, r.slot, 2)
    r.served = MISS
    return DONE


_DROPPED = 1


@kernel
def unmap_step(a: Any, r: Any, d: Any) -> int:
    """Count down; wake the sleepers if the slot is free now."""
    if r.step == _DROPPED:
        return DONE
    r.step = _DROPPED
    _change(a, d, r.slot, -1)
    return _wake_if(a, 1 if a.slots[r.slot].count == 1 else 0)


def check(a: Any, live: Check) -> list[str]:
    """Every slot has as many users as it counts and nobody has one for himself; pages know their slots."""
    problems = []
    mapped = 0
    for s, slot in enumerate(a.slots):
        count, page = int(slot.count), int(slot.page)
        mapped += page >= 0
        if count - 1 != live.users.get(s, 0):
            problems.append(f"slot {s}: count {count} with {live.users.get(s, 0)} users")
        if page >= 0 and int(a.pages[page].slot) != s + 1:
            problems.append(f"slot {s}: maps page {page}, which is cached in {int(a.pages[page].slot) - 1}")
    cached = int((a.pages.slot > 0).sum())
    if cached != mapped:
        problems.append(f"{cached} pages are cached in {mapped} slots that map one")
    return problems


def stranded(a: Any, live: Check) -> list[str]:
    """Nobody may be left asleep unless every slot is in use."""
    free = int((a.slots.count == 1).sum())
    if not (live.sleepers[0] and free):
        return []
    return [f"{live.sleepers[0]} tasks sleep although {free} slots are free"]
