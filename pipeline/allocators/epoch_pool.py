"""The global pool without its pass and flush: a slot knows when it was released (Bligh, July 2002).

    pool.cursor     slot looked at last; starts at 0 and is advanced before it is looked at

    slot.count      0   it has never had a PTE
                    1   nobody uses it, but its PTE is there and TLBs may hold it: cached, and to be taken for
                        another page when the cursor comes by
                    n   n - 1 users, n >= 2
    slot.page       the page it maps, where count >= 1
    slot.released   when it was last released, counted in switches of address spaces on all CPUs

    page.slot       1 + the slot that caches the page; 0: none

The PTEs are not global: on most machines a CPU that switches to another address space loses their
translations. So a slot that was released before that needs nothing done on that CPU; only those that have
stayed in an address space since (whichever it is: the slots are at the same addresses in all) are interrupted
to invalidate the one address. If all have switched, a slot is reused for nothing. That takes a record of
every CPU's switches, which makes each switch dearer. A CPU that idles does not switch. Where a switch leaves
non-global entries (PCID, ASIDs), none helps: every CPU that has run anything is interrupted.

The rest is as in global_pool: one lock over everything, the interrupts and their answers included; a task
that finds all slots in use sleeps.

Source: M. J. Bligh, linux-kernel, July 2002, on reusing kmaps as RCU reuses memory. Ours: the cursor takes
the first slot that nobody uses, never looking for one that needs no interrupt.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, LOCK, SLEEP, UNLOCK
from pipeline.allocators.api.contract import Option
from pipeline.allocators.api.effects import evict, may_hold_since, probe, touch, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import (
    check_pools,
    lost_wakeups_in_pools,
    unmap_cached,
)
from pipeline.allocators.components.directed_flush import invalidate_there
from pipeline.allocators.components.wake import DROP, WAKE_OPTION
from pipeline.jit.marks import inline
from pipeline.schema.codes import HIT, MISS

SUMMARY = "the global pool, but interrupts only CPUs that have not switched since the slot's release"
SOURCE = "M. J. Bligh, linux-kernel, July 2002"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool"),
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = [("count", "i4"), ("page", "i8"), ("released", "i8")]
PAGE = [("slot", "i4")]
NON_GLOBAL = True
TRACKS_SWITCHES = True

_ANY_PROCESS = -1


# Steps of a map.
_ASK = 0
_SEARCH = 1
_INVALIDATED = 2
_END = 3


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's slot or take one that nobody uses, once no TLB holds what it mapped before."""
    if r.step == _ASK:
        r.step = _SEARCH
        return LOCK
    if r.step == _INVALIDATED:
        r.step = _END
        return UNLOCK
    if r.step == _END:
        return DONE
    touch(d, 1)
    cached = a.pages[r.page].slot - 1
    if cached >= 0:
        touch(d, 1)
        a.slots[cached].count += 1
        r.slot = cached
        r.served = HIT
        r.step = _END
        return UNLOCK
    if not _advance(a, d):
        r.step = _ASK
        return SLEEP
    return _reuse(a, r, d)


@inline
def _advance(a: State, d: StepCost) -> bool:
    """Move the cursor to the next slot that nobody uses; false if there is none."""
    pool = a.pool[0]
    for _ in range(a.options[0].slots):
        pool.cursor += 1
        if pool.cursor == a.options[0].slots:
            pool.cursor = 0
        probe(d, 1)
        if a.slots[pool.cursor].count <= 1:
            return True
    return False


@inline
def _reuse(a: State, r: Request, d: StepCost) -> int:
    """Take the slot under the cursor and invalidate it wherever it may still be in a TLB."""
    at = a.pool[0].cursor
    slot = a.slots[at]
    mask = 0
    if slot.count == 1:
        a.pages[slot.page].slot = 0
        evict(a, d, slot.page)
        mask = may_hold_since(a, d, _ANY_PROCESS, slot.released)
    touch(d, 1)
    write_pte(d)
    slot.count = 2
    slot.page = r.page
    a.pages[r.page].slot = at + 1
    r.slot = at
    r.served = MISS
    r.step = _INVALIDATED
    return invalidate_there(a, d, at, mask)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use and remember when; wake the sleepers, after the release, if nobody uses the slot now."""
    if r.step == DROP:
        a.slots[r.slot].released = d.moment
    return unmap_cached(a, r, d, 0)


# Counts must match the live mappings and pages their slots; nobody sleeps unless all slots are in use.
check = check_pools
lost_wakeups = lost_wakeups_in_pools
