"""The global pool without scan and global flush: each slot records when it was released (Bligh, July 2002).

    pool.cursor     slot examined last; starts at 0 and advances before each examination

    slot.count      0   the slot has never had a PTE
                    1   cached and unused: the PTE is present and TLBs may hold it; the next miss whose cursor
                        reaches the slot takes it for another page
                    n   n - 1 users, n >= 2
    slot.page       the mapped page, if count >= 1
    slot.released   time of the last release, counted in switches of address spaces on all CPUs

    page.slot       1 + the slot that caches the page; 0: none

The PTEs are not global: on most machines a CPU loses their translations when it switches to another address
space. A CPU that has switched since a slot was released therefore needs no invalidation for it. Only the CPUs
that have not switched since are interrupted to invalidate the one address. Their address space does not
matter, because the slots are at the same addresses in all of them. If all CPUs have switched, reusing the
slot needs no interrupt.

Recording the switches of every CPU makes each switch more expensive. An idle CPU does not switch. If a switch
keeps non-global entries (PCID, ASIDs), it does not help: every CPU that has run a task is interrupted.

Otherwise this is global_pool: one lock is held throughout, including the interrupts and their
acknowledgements. A task that finds all slots in use sleeps.

Source: M. J. Bligh, linux-kernel, July 2002, on reusing kmaps as RCU reuses memory. Ours: the cursor takes
the first unused slot and does not search for a slot that needs no interrupt.
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
    """Find the page's slot or take an unused one, after its old translation has left all TLBs."""
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
    """Move the cursor to the next unused slot; false if there is none."""
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
    """Take the slot at the cursor and invalidate it on every CPU whose TLB may hold it."""
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
    """Drop one use and record its time; after the release, wake the sleepers if the slot is unused."""
    if r.step == DROP:
        a.slots[r.slot].released = d.moment
    return unmap_cached(a, r, d, 0)


# Counts must match the live mappings and pages their slots; no task sleeps unless all slots are in use.
check = check_pools
lost_wakeups = lost_wakeups_in_pools
