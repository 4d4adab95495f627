"""A cached pool per CPU, the task pinned while it maps: flushed locally at its own wraps.

    pool[c].cursor   slot of CPU `c` looked at last; starts at 0 and is advanced before it is looked at

    slot.count       0   clean: no PTE, and the CPU's TLB cannot hold a stale translation: it may be taken
                     1   nobody uses it, but its PTE is there and the CPU's TLB may hold it: cached
                     n   n - 1 users, n >= 2
    slot.page, slot.next, slot.bucket   the page it maps, and a hash by page over each CPU's slots

Only the CPU itself ever touches its pool, and only its TLB ever holds what the pool maps: no lock and no
interrupt, and a wrap flushes that one TLB. In exchange a task must unmap where it mapped, so it is pinned
from its outermost map to its outermost unmap; and a page that several CPUs use is mapped once on each. A task
that finds all slots of its CPU in use waits there, pinned too.

The price is in struct page: where a page is mapped must be known for each CPU, which takes 4 bytes for each
in every page there is (537 MB for 16 GB and 32 CPUs). That array is what the hash stands for here: a look-up
is priced as one entry of the CPU's own, an entry in it as one that CPUs share, because those of other CPUs
are in the same line of memory.

Source: `page->virtual[NR_CPUS]`, linux-kernel, 2002, as an extension of A. Arcangeli's per-CPU pool. Ours: a
waiting task stays pinned; no flush after a pass that freed nothing.

As in percpu_pinned, waiting for one's own CPU is measured against perfect balance of the tasks that are not
pinned. TLBs have no capacity here, so that a hit never costs the walk of an entry that others have displaced.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, FLUSH_LOCAL, SLEEP, STEP
from pipeline.allocators.api.contract import Option, Shape
from pipeline.allocators.api.effects import pin, scan, touch, touch_local, unpin
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import lost_wakeups_in_pools
from pipeline.allocators.components.private_pool import (
    EXHAUSTED,
    PRIVATE_SLOT,
    WRAPPED,
    check_private_pools,
    drop_use,
    take_clean,
    use_cached,
)
from pipeline.allocators.components.wake import WAKE_OPTION, wake
from pipeline.jit.marks import inline

SUMMARY = "a cached pool per CPU with the task pinned: local flushes only; P words in every page"
SOURCE = "page->virtual[NR_CPUS], linux-kernel, 2002"
OPTIONS = (
    Option("slots", 64, minimum=2, maximum=1 << 16, help="slots of each CPU"),
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = PRIVATE_SLOT


def slots(options: dict[str, int], shape: Shape) -> int:
    """Those of all CPUs; the address space must be there for every possible CPU."""
    return options["slots"] * shape.cpus


def pools(options: dict[str, int], shape: Shape) -> int:
    """One per CPU."""
    return shape.cpus


queues = pools


def page_struct_bytes(options: dict[str, int], shape: Shape) -> int:
    """A pointer of 4 bytes for each CPU."""
    return 4 * shape.cpus


_ASK = 0
_FLUSHED = 1
_WOKEN = 2


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page in this CPU's pool or take a clean slot of it; flush this CPU at a wrap."""
    if r.step != _FLUSHED:
        if r.step == _WOKEN:
            unpin(d)
        r.budget = a.options[0].slots
        touch_local(d, 1)
        if use_cached(a, r, d.cpu):
            touch_local(d, 1)
            pin(d)
            return DONE
    result = take_clean(a, r, d, d.cpu, r.step == _FLUSHED)
    while result == WRAPPED:
        scan(d, a.options[0].slots, r.mark)
        if r.mark > 0:
            r.step = _FLUSHED
            return FLUSH_LOCAL
        result = take_clean(a, r, d, d.cpu, True)
    pin(d)
    if result == EXHAUSTED:
        r.step = _WOKEN
        d.queue = d.cpu
        return SLEEP
    touch(d, 1)
    return DONE


_DROPPED = 1


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use, unpin, and wake tasks that wait on this CPU if nobody uses the slot now."""
    if r.step == _DROPPED:
        return DONE
    touch_local(d, 1)
    free = drop_use(a, r, d)
    unpin(d)
    r.step = _DROPPED
    if not free or a.queues[d.cpu].sleepers == 0:
        return STEP
    d.queue = d.cpu
    return wake(a)


# Each pool must be in order, and no task may be left asleep unless all slots of its CPU are in use.
check = check_private_pools
lost_wakeups = lost_wakeups_in_pools
