"""Fewest flushes of a pool: the kernel's, flushed as late as it can be, and of all that can go.

    pool.cursor    slot looked at last; -1 at first, and advanced before it is looked at

    slot.count     0   clean: no PTE, and no CPU can hold a stale translation; only such a slot may be taken
                   1   nobody uses it, but its PTE is there and TLBs may hold it: cached, not to be reused
                       before a flush
                   n   n - 1 users, n >= 2
    slot.page      the page it maps, where count >= 1

    page.slot      1 + the slot that caches the page; 0: none

What it bounds. A cached pool is here any design that has N slots for the machine, maps a page at one slot,
takes clean slots only, makes slots clean only by a flush of every TLB, and may choose when to flush and which
unused slots a flush makes clean; it may know the future. For a given order of maps and unmaps, none flushes
less than one that (1) flushes only when a page must be mapped and no slot is clean, and (2) then makes every
unused slot clean. Neither needs to know the future: no clairvoyance about what stays cached can save a flush.

Proof. Say M(t, s) is the set of pages in force at t or mapped after t until s. Each of them has a slot at
some time from t to s, and that slot cannot be clean again before the next flush: so a pool that flushed at t
must flush again before |M(t, s)| exceeds N, whatever else it kept. With (2) nothing else has a slot, so with
(1) the next flush comes exactly when |M(t, s)| would exceed N: no later one is possible. And to have flushed
later is never worse: for t < t', every page in force at t' was in force at t or mapped between, so M(t', s)
is a part of M(t, s). By induction, the k-th flush of this design comes no earlier than the k-th of any other.

The pool of the kernel does (2), and nearly (1): its wraps come when no slot is clean, as its cursor passes
over none that is. But its first round leaves slot 0 out, and it flushes although a pass has freed nothing.
This design is the kernel's without these two, so what separates them is all that any better choice could
gain.

Replayed in time, designs put maps in other orders, as their tasks wait elsewhere, and a pool in another order
may come out below. Nor does it bound misses (a pool that keeps what is wanted again before the next flush has
fewer, and as many flushes), throughput, or the flushes of designs that invalidate single addresses, flush
some CPUs only, have slots for each CPU or process, or know which TLBs have lost a translation by other means.

Source: none; a bound for charts. The choice that would be best for misses is L. A. Belady's (1966).
"""

from __future__ import annotations

from pipeline.allocators.api.actions import FLUSH_ALL
from pipeline.allocators.api.contract import Option, Shape
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import (
    check_pools,
    lost_wakeups_in_pools,
    map_cached,
    unmap_cached,
)
from pipeline.allocators.components.wake import WAKE_OPTION
from pipeline.jit.marks import inline

SUMMARY = "fewest flushes of all TLBs for its order of maps, of any pool of its size, whatever it keeps"
SOURCE = "what knowing the future could save a pool of cached mappings"
BOUND = "fewest flushes of a pool of its size, for its order of maps"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool"),
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = [("count", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]


def prepare(a: State, shape: Shape) -> None:
    """Begin before the first slot."""
    a.pool[0].cursor = -1


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's slot or take a clean one; flush when none is left and some can be had by it."""
    slots = a.options[0].slots
    return map_cached(a, r, d, 0, slots, 0, 1, 0, slots, FLUSH_ALL, False)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; wake the sleepers, after the release, if nobody uses the slot now."""
    return unmap_cached(a, r, d, 0)


# Counts must match the live mappings and pages their slots; nobody sleeps unless all slots are in use.
check = check_pools
lost_wakeups = lost_wakeups_in_pools
