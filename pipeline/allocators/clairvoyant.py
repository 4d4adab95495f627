"""Fewest flushes of a pool: the kernel's pool, flushed as late and as completely as possible.

    pool.cursor    slot examined last; starts at -1 and advances before each examination

    slot.count is not a pure use count:
                   0   clean: no PTE, and no TLB holds a stale translation; only a clean slot may be taken
                   1   cached and unused: the PTE is present and TLBs may hold it; not reusable before a flush
                   n   n - 1 users, n >= 2
    slot.page      the mapped page, if count >= 1

    page.slot      1 + the slot that caches the page; 0: none

Bound. A cached pool is here any design that has N slots for the machine, maps a page at one slot, takes only
clean slots, and makes slots clean only by a flush of every TLB. It may choose when to flush and which unused
slots a flush makes clean, and it may use knowledge of the future. For a given order of maps and unmaps, no
cached pool makes fewer flushes than a pool that (1) flushes only when a page must be mapped and no slot is
clean, and (2) then makes every unused slot clean. Neither rule uses the future: clairvoyance about which
mappings to keep cannot save a flush.

Proof. Let M(t, s) be the set of pages that are mapped at t or become mapped after t until s. Each of them has
a slot at some time from t to s, and that slot cannot be clean again before the next flush. So a pool that
flushed at t must flush again before |M(t, s)| exceeds N, whatever else it kept. With (2), no other page has a
slot, so with (1) the next flush occurs exactly when |M(t, s)| would exceed N. No later flush is possible.
Flushing later is never worse: for t < t', every page mapped at t' was mapped at t or became mapped in
between, so M(t', s) is a subset of M(t, s). By induction, the k-th flush of this design occurs no earlier
than the k-th flush of any other pool.

The kernel's pool follows (2), and nearly (1): it wraps when no slot is clean, because its cursor passes over
no clean slot. But its first round omits slot 0, and it flushes even if a scan has freed nothing. This design
is the kernel's pool without these two exceptions. The difference between the two is the most that any better
choice could gain.

In a replay with times, tasks wait at other points, so designs see maps in different orders. With another
order, another pool may make fewer flushes. The bound does not apply to misses: a pool that keeps the pages
needed before the next flush has fewer misses and as many flushes. It does not apply to throughput. It does
not apply to designs that invalidate single addresses, flush only some CPUs, have slots per CPU or process, or
track which TLBs have lost a translation by other means.

Source: none; a bound for charts. The best choice for misses is described by L. A. Belady (1966).
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

SUMMARY = "fewest flushes of all TLBs for its order of maps, of any pool of its size"
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
    """Start before the first slot."""
    a.pool[0].cursor = -1


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's slot or take a clean one; flush if no slot is clean and a flush would free some."""
    slots = a.options[0].slots
    return map_cached(a, r, d, 0, slots, 0, 1, 0, slots, FLUSH_ALL, False)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; after releasing the lock, wake the sleepers if the slot is unused."""
    return unmap_cached(a, r, d, 0)


# Counts must match the live mappings and pages their slots; no task sleeps unless all slots are in use.
check = check_pools
lost_wakeups = lost_wakeups_in_pools
