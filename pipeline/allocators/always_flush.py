"""Upper bound: nothing stays cached, so that every map of a page nobody has mapped takes a global flush.

    pool.free      1 + the first free slot, a list through slot.next; 0: none is free

    slot.users     mappings in force; 0: free, without a PTE, but TLBs may hold it until a flush
    slot.page      the page it maps, where users >= 1
    slot.next      1 + the next free slot

    page.slot      1 + the slot that maps the page; 0: none

The last unmap of a page forgets it. A miss takes a free slot and, with the lock held, flushes every TLB
before it uses it. Finding a free slot or a page costs no search and no pass: what is left is the flush.

As every map of a page that is not mapped at that moment is a miss here, and so a flush, no design that caches
mappings and flushes at most once for each miss makes more of them, for the same order of maps and unmaps. It
is what remains of a cache of mappings that has one slot more than are in use, and forgets at each unmap.

Source: none; a bound for charts. With no more slots than mappings in force at once, who finds none sleeps.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api.actions import (
    COUNT_UNDERFLOW,
    DONE,
    FLUSH_ALL,
    HIT,
    LOCK,
    MISS,
    SLEEP,
    UNLOCK,
    WAKE_ALL,
    report_finding,
    touch,
    touch_cached,
    write_pte,
)
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.components.checks import left_asleep, problems_of_pages, problems_of_users
from pipeline.allocators.components.free_list import fill_free, give_free, listed_free, take_free
from pipeline.jit.marks import inline

SUMMARY = "upper bound: nothing stays cached, every miss is a global flush"
SOURCE = "what a cache of one mapping would do"
BOUND = "upper bound"
OPTIONS = (Option("slots", 1024, minimum=2, maximum=1 << 20, help="most mappings in force at once"),)
POOL = [("free", "i4")]
SLOT = [("users", "i4"), ("next", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]


def slots(options: dict[str, int], shape: Shape) -> int:
    """The pool's slots, for the whole machine."""
    return options["slots"]


def prepare(a: Any, shape: Shape) -> None:
    """Put every slot on the free list, lowest number first."""
    fill_free(a, a.pool[0], 0, len(a.slots))


_ASK = 0
_SEARCH = 1
_FLUSHED = 2
_GOT = 3


@inline
def map_step(a: Any, r: Any, d: Any) -> int:
    """Share the slot of a page that somebody has mapped, or take a free one and flush."""
    if r.step == _ASK:
        r.step = _SEARCH
        return LOCK
    if r.step == _GOT:
        return DONE
    if r.step == _FLUSHED:
        r.step = _GOT
        return UNLOCK
    touch(d, 2)
    mapped = a.pages[r.page].slot - 1
    if mapped >= 0:
        a.slots[mapped].users += 1
        r.slot = mapped
        r.served = HIT
        r.step = _GOT
        return UNLOCK
    if a.pool[0].free == 0:
        r.step = _ASK
        d.queue = 0
        return SLEEP
    r.slot = take_free(a, a.pool[0])
    slot = a.slots[r.slot]
    slot.users = 1
    slot.page = r.page
    a.pages[r.page].slot = r.slot + 1
    write_pte(d)
    r.served = MISS
    r.step = _FLUSHED
    return FLUSH_ALL


_DROP = 1
_WAKE = 2
_END = 3


@inline
def unmap_step(a: Any, r: Any, d: Any) -> int:
    """Drop one use; after the last one forget the page, and wake who waits for a slot."""
    if r.step == _ASK:
        r.step = _DROP
        return LOCK
    if r.step == _DROP:
        touch_cached(d, 1)
        r.step = _END
        slot = a.slots[r.slot]
        slot.users -= 1
        if slot.users < 0:
            report_finding(d, COUNT_UNDERFLOW)
        if slot.users == 0:
            a.pages[slot.page].slot = 0
            write_pte(d)
            give_free(a, a.pool[0], r.slot)
            if a.queues[0].sleepers > 0:
                r.step = _WAKE
        return UNLOCK
    if r.step == _WAKE:
        r.step = _END
        return WAKE_ALL
    return DONE


def check(a: Any, live: Check) -> list[str]:
    """Users, pages and the free list must agree."""
    users = [int(slot.users) for slot in a.slots]
    problems = problems_of_users(live, users)
    problems += problems_of_pages(a, [s for s, count in enumerate(users) if count > 0])
    free = listed_free(a, a.pool[0])
    if sorted(free) != [s for s, count in enumerate(users) if count == 0]:
        problems.append(f"the free list holds {len(free)} slots, not just those that nobody uses")
    return problems


def lost_wakeups(a: Any, live: Check) -> list[str]:
    """Nobody may be left asleep unless every slot is in use."""
    return left_asleep(live, 0, len(listed_free(a, a.pool[0])), "slots are free")
