"""A cached pool per CPU; the task is pinned while it maps; a wrap flushes only the local TLB.

    pool[c].cursor   slot of CPU `c` examined last; starts at 0 and advances before each examination

    slot.count       0   clean: no PTE, and the CPU's TLB holds no stale translation; the slot may be taken
                     1   cached and unused: the PTE is present and the CPU's TLB may hold it
                     n   n - 1 users, n >= 2
    slot.page, slot.next, slot.bucket   the mapped page, and a hash by page over each CPU's slots

Only the CPU itself ever touches its pool, and only its TLB ever holds the pool's translations. The pool
needs no lock and no interrupt, and a wrap flushes only that TLB. In return, a task must unmap on the CPU
where it mapped, so it is pinned from its outermost map to its outermost unmap. A page that several CPUs use
is mapped once on each. A task that finds all slots of its CPU in use waits there, pinned as well.

The price is memory in struct page: the address of a page on each CPU takes 4 bytes per CPU in every page of
the machine (537 MB for 16 GB and 32 CPUs). Here the hash stands in for that array. A look-up costs one
CPU-local entry. An update costs one shared entry, because the entries of other CPUs are in the same cache
line.

Source: `page->virtual[NR_CPUS]`, linux-kernel, 2002, as an extension of A. Arcangeli's per-CPU pool. Ours: a
waiting task stays pinned; a scan that freed nothing needs no flush.

As in percpu_pinned, the wait for a particular CPU is compared with perfect load balance of unpinned tasks.
TLBs have unlimited capacity here, so a hit never costs a page walk for a displaced entry.
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

SUMMARY = "a cached pool per CPU with the task pinned: local flushes only; one word per CPU in every page"
SOURCE = "page->virtual[NR_CPUS], linux-kernel, 2002"
OPTIONS = (
    Option("slots", 64, minimum=2, maximum=1 << 16, help="slots of each CPU's pool"),
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = PRIVATE_SLOT


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots of all CPUs; every possible CPU needs its address space."""
    return options["slots"] * shape.cpus


def pools(options: dict[str, int], shape: Shape) -> int:
    """One pool per CPU."""
    return shape.cpus


queues = pools


def page_struct_bytes(options: dict[str, int], shape: Shape) -> int:
    """A pointer of 4 bytes per CPU."""
    return 4 * shape.cpus


_ASK = 0
_FLUSHED = 1
_WOKEN = 2


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page in this CPU's pool or take a clean slot of it; flush this CPU's TLB at a wrap."""
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
    """Drop one use, unpin, and wake tasks that wait on this CPU if the slot is unused."""
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


# Each pool must be consistent, and no task may remain asleep unless all slots of its CPU are in use.
check = check_private_pools
lost_wakeups = lost_wakeups_in_pools
