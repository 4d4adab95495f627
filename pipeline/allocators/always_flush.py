"""No caching: every map of a page that is not currently mapped takes a global flush.

    pool.free      1 + the first free slot, a list linked by slot.next; 0: none is free

    slot.users     current mappings; 0: free, without a PTE, but TLBs may hold it until a flush
    slot.page      the mapped page, if users >= 1
    slot.next      1 + the next free slot

    page.slot      1 + the slot that maps the page; 0: none

The last unmap of a page drops its mapping. A miss takes a free slot and flushes every TLB, with the lock
held, before using the slot. Finding a free slot or a page needs no search and no scan, so the flush remains
as the main cost.

Bound. Take any pool that serves a currently mapped page by a hit and in which every flush makes at least one
slot clean. For a given order of maps and unmaps, such a pool flushes no more often than this design. Proof: a
slot that a flush makes clean was filled by a miss, and is filled again before another flush makes it clean.
So there are no more flushes than misses. Only a map of a page that is not currently mapped can miss, and in
this design every such map is a miss and a flush.

A pool that also flushes without freeing a slot may flush more often. The pool of Linux 2.4 flushes at each
wrap. With all of its slots in use, a new task or a task woken in vain makes it wrap; in this design that task
sleeps without a flush. The pool of 2.4 makes no more flushes than misses and sleeps together. This design
bounds neither throughput nor cost: a design with other, larger costs can be slower. Also, timing changes the
order of maps from one design to another.

Source: none; a bound for charts, which a cache reaches if it drops a mapping at each unmap. If the pool has
no more slots than current mappings, a task that finds no slot sleeps.
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
OPTIONS = (Option("slots", 1024, minimum=2, maximum=1 << 20, help="maximum number of concurrent mappings"),)
POOL = [("free", "i4")]
SLOT = [("users", "i4"), ("next", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]


def prepare(a: State, shape: Shape) -> None:
    """Put every slot on the free list, in ascending order."""
    fill_free(a, a.pool[0], 0, len(a.slots))


_SEARCH = 1
_FLUSHED = 2
_GOT = 3


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Share the slot of a currently mapped page, or take a free slot and flush."""
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
    """Drop one use; after the last one, drop the mapping and wake the tasks that wait for a slot."""
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
        problems.append(f"the free list has {len(free)} slots and differs from the set of unused slots")
    return problems


def lost_wakeups(a: State, live: Check) -> list[str]:
    """No task may remain asleep unless every slot is in use."""
    return check_sleepers(live, 0, len(list_free(a.slots.next.tolist(), a.pool[0])), "slots are free")
