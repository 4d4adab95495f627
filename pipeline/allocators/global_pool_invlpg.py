"""The kernel's pool with single-address invalidations in the pass, in place of the flush at its end.

    pool.cursor    slot looked at last; starts at 0 and is advanced before it is looked at

    slot.count     0   clean: no PTE, and no CPU can hold a stale translation; only such a slot may be taken
                   1   nobody uses it, but its PTE is there and TLBs may hold it: cached, not to be reused
                       before its address is invalidated
                   n   n - 1 users, n >= 2
    slot.page      the page it maps, where count >= 1

    page.slot      1 + the slot that caches the page; 0: none (`page->virtual`)

Everything happens under the lock. The pass over all slots at a wrap executes invlpg for each slot that it
makes clean. On one CPU that is all: the rest of the TLB stays. On several, every other CPU is interrupted and
makes the same pass, at the same price, while the first waits with the lock held; which is why the proposal
was turned down for them ("it would take too long"), and why it can be replayed here.

The search itself is in components/cached_pool.py.

Source: "invlpg during the O(N) pass", linux-kernel, March 2002, for a laptop with one CPU. Ours: that the
pass of the other CPUs costs as much as the first; with `flush_if_any` they need not make one that freed
nothing.
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

SUMMARY = "the global pool for one CPU: invlpg for each freed slot, no flush; all CPUs scan"
SOURCE = "linux-kernel, March 2002"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool (LAST_PKMAP)"),
    Option("flush_if_any", False, help="other CPUs are spared a pass that freed nothing"),
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = [("count", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """The option concerns the passes of other CPUs."""
    return {"flush_if_any": "more than one CPU"} if cpus == 1 else {}


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's slot or take a clean one; at a wrap every CPU makes a pass; sleep if it finds none."""
    slots = a.options[0].slots
    return map_cached(a, r, d, 0, slots, 0, 1, 0, slots, REPEAT_ALL, not a.options[0].flush_if_any)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; wake the sleepers, after the release, if nobody uses the slot now."""
    return unmap_cached(a, r, d, 0)


# Counts must match the live mappings and pages their slots; nobody sleeps unless all slots are in use.
check = check_pools
lost_wakeups = lost_wakeups_in_pools
