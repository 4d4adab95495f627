"""The kernel's pool with single-address invalidations during the scan instead of a flush after it.

    pool.cursor    slot examined last; starts at 0 and advances before each examination

    slot.count is not a pure use count:
                   0   clean: no PTE, and no TLB holds a stale translation; only a clean slot may be taken
                   1   cached and unused: the PTE is present and TLBs may hold it; not reusable before its
                       address is invalidated
                   n   n - 1 users, n >= 2
    slot.page      the mapped page, if count >= 1

    page.slot      1 + the slot that caches the page; 0: none (`page->virtual`)

The lock is held throughout. The scan of all slots at a wrap executes invlpg for each slot that it makes
clean. With one CPU nothing else is needed, and the rest of the TLB remains valid. With several CPUs, every
other CPU is interrupted and makes the same scan at the same cost, while the first waits with the lock held.
For this reason the proposal was rejected for multiprocessors ("it would take too long"). A replay measures
how long.

The search is in components/cached_pool.py.

Source: "invlpg during the O(N) pass", linux-kernel, March 2002, for a laptop with one CPU. Ours: the scan of
each other CPU costs as much as the first; with `flush_if_any` the other CPUs skip a scan that freed no slot.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import REPEAT_ALL
from pipeline.allocators.api.contract import Option
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import (
    check_pools,
    lost_wakeups_in_pools,
    map_cached,
    unmap_cached,
)
from pipeline.allocators.components.wake import WAKE_OPTION
from pipeline.jit.marks import inline

SUMMARY = "the global pool for one CPU: invlpg for each freed slot instead of a flush; all CPUs scan"
SOURCE = "linux-kernel, March 2002"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool (LAST_PKMAP)"),
    Option("flush_if_any", False, help="other CPUs skip a scan that freed no slot"),
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = [("count", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """`flush_if_any` affects only the scans of other CPUs."""
    return {"flush_if_any": "more than one CPU"} if cpus == 1 else {}


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's slot or take a clean one; at a wrap every CPU scans; sleep if no slot is found."""
    slots = a.options[0].slots
    return map_cached(a, r, d, 0, slots, 0, 1, 0, slots, REPEAT_ALL, not a.options[0].flush_if_any)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; after releasing the lock, wake the sleepers if the slot is unused."""
    return unmap_cached(a, r, d, 0)


# Counts must match the live mappings and pages their slots; no task sleeps unless all slots are in use.
check = check_pools
lost_wakeups = lost_wakeups_in_pools
