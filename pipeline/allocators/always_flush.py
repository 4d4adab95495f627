"""Nothing stays cached: every map of a page that nobody has mapped takes a global flush.

    pool.free      1 + the first free slot, a list through slot.next; 0: none is free

    slot.users     mappings in force; 0: free, without a PTE, but TLBs may hold it until a flush
    slot.page      the page it maps, where users >= 1
    slot.next      1 + the next free slot

    page.slot      1 + the slot that maps the page; 0: none

The last unmap of a page forgets it. A miss takes a free slot and, with the lock held, flushes every TLB
before it uses it. Finding a free slot or a page costs no search and no pass: what is left is the flush.

What it bounds. Take any pool that serves a page in force by a hit, and whose every flush makes at least one
slot clean. For a given order of maps and unmaps, it flushes no more often than this design. Proof: a slot
that a flush makes clean was filled by a miss, and is filled again before another flush makes it clean; so
flushes are no more than misses. Only a map of a page that is not in force can miss, and here each of these is
a miss and a flush.

A pool that flushes for nothing may flush more: the kernel's of 2.4 flushes at each wrap. With all slots in
use, a task that comes, or that is woken in vain, makes it wrap; here it sleeps without a flush. There,
flushes are no more than misses and sleeps together. Nor does this design bound throughput or cost: one that
pays more for something else is slower, and replayed in time, each design meets another order of maps.

Source: none; a bound for charts: a cache of mappings that forgets at each unmap. With no more slots than
mappings in force at once, a task that finds none sleeps.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, SLEEP, UNLOCK, WAKE_ALL
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import report_finding, touch, touch_cached, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.checks import check_pages, check_sleepers, check_users
from pipeline.allocators.components.free_list import fill_free, give_free, list_free, take_free
from pipeline.allocators.components.wake import ASK, DROP, END, WAKE, unmap_around_drop
from pipeline.jit.marks import inline
from pipeline.schema.codes import COUNT_UNDERFLOW, HIT, MISS

SUMMARY = "one flush for each miss: nothing stays cached"
SOURCE = "what a cache of one mapping would do"
BOUND = "one flush for each miss"
OPTIONS = (Option("slots", 1024, minimum=2, maximum=1 << 20, help="most mappings in force at once"),)
POOL = [("free", "i4")]
SLOT = [("users", "i4"), ("next", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]


def prepare(a: State, shape: Shape) -> None:
    """Put every slot on the free list, lowest number first."""
    fill_free(a, a.pool[0], 0, len(a.slots))


_SEARCH = 1
_FLUSHED = 2
_GOT = 3


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Share the slot of a page that somebody has mapped, or take a free one and flush."""
    if r.step == ASK:
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
        r.step = ASK
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


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; after the last one forget the page, and wake the tasks that wait for a slot."""
    if r.step != DROP:
        return unmap_around_drop(r, d, 0, WAKE_ALL)
    touch_cached(d, 1)
    r.step = END
    slot = a.slots[r.slot]
    slot.users -= 1
    if slot.users < 0:
        report_finding(d, COUNT_UNDERFLOW)
    if slot.users == 0:
        a.pages[slot.page].slot = 0
        write_pte(d)
        give_free(a, a.pool[0], r.slot)
        if a.queues[0].sleepers > 0:
            r.step = WAKE
    return UNLOCK


def check(a: State, live: Check) -> list[str]:
    """Users, pages and the free list must agree."""
    users = a.slots.users.tolist()
    problems = check_users(live, users)
    problems += check_pages(a, [s for s, count in enumerate(users) if count > 0])
    free = list_free(a.slots.next.tolist(), a.pool[0])
    if sorted(free) != [s for s, count in enumerate(users) if count == 0]:
        problems.append(f"the free list holds {len(free)} slots, not just those that nobody uses")
    return problems


def lost_wakeups(a: State, live: Check) -> list[str]:
    """Nobody may be left asleep unless every slot is in use."""
    return check_sleepers(live, 0, len(list_free(a.slots.next.tolist(), a.pool[0])), "slots are free")
