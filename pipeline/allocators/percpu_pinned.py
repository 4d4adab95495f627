"""A pool per CPU; the task is pinned while it maps: no lock, no IPI, no cache (Arcangeli, March 2002).

    percpu.free        1 + the first free slot of this CPU's pool, a list linked by slot.next; 0: none is free
    percpu.mapped      current mappings; at slots_per_cpu the next task waits in this CPU's queue

    slot.mapped        1 while a task has the slot mapped
    slot.next          1 + the next free slot of the same CPU

With `overflow=global`, slots 0 to slots - 1 form a pool for the machine, followed by the slots of the CPUs:

    slot.count         0 clean, 1 cached and unused, n: n - 1 users; as in global_pool, so are
    slot.page, page.slot, pool.cursor

Only the CPU itself ever touches its pool, so the pool needs no lock. A task must unmap on the CPU where it
mapped, so it is pinned from its outermost map to its outermost unmap. A new mapping needs one local
invalidation, because the slot's previous translation may still be in the TLB of this CPU, but of no other.

With `overflow=global`, no task waits for a slot of a CPU. A task that finds none maps in the machine's pool
instead, under its lock and at its cost, and is not pinned for that mapping (served: fallback). It may sleep
there if the whole pool is in use. The slots of the CPUs are then a front end. A few slots suffice, because
tasks rarely hold more mappings at the same time.

Source: A. Arcangeli, linux-kernel, March 2002: pin, then wait if the pool is full. The proposal does not say
whether a waiting task remains pinned; with `wait_pinned=false` it maps on the CPU that runs it next. The
front end of four to eight slots: S. Tweedie and A. Morton, July 2002. Ours: a task does not look for a page
in the machine's pool while its CPU has a free slot; a task that has slept for that pool does not try the
CPU's slots again.

Two simplifications of the machine affect pinning. A task that is not pinned gets any idle CPU immediately,
because the machine has one run queue; so the wait for a particular CPU is compared with perfect load balance,
which overstates the cost of pinning. Setting and clearing the pin costs no time, which understates it.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, SLEEP, STEP, WAKE_ALL, WAKE_ONE
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import invalidate, pin, probe, touch_local, unpin, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import (
    ASK_AGAIN,
    FLUSH_IF_ANY,
    check_pools,
    fall_back,
    lost_wakeups_in_pools,
    unmap_cached,
)
from pipeline.allocators.components.checks import check_sleepers
from pipeline.allocators.components.free_list import fill_free, give_free, list_free, take_free
from pipeline.allocators.components.wake import WAKE_OPTION
from pipeline.jit.marks import inline
from pipeline.schema.codes import FALLBACK, MISS

SUMMARY = "a pool per CPU with the task pinned: no lock, no IPI, no cache"
SOURCE = "A. Arcangeli, linux-kernel, March 2002"
OPTIONS = (
    Option("slots_per_cpu", 16, minimum=1, maximum=1 << 16, help="slots of each CPU's pool"),
    Option("wait_pinned", True, help="bind a task that waits for its first slot to the CPU of its request"),
    Option("overflow", "sleep", choices=("sleep", "global"), help="if no slot is free: sleep, or use a pool"),
    Option(
        "slots",
        1024,
        minimum=2,
        maximum=1 << 20,
        help="slots of the pool for overflow=global",
    ),
    FLUSH_IF_ANY,
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = [("mapped", "i4"), ("next", "i4"), ("count", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]
PERCPU = [("free", "i4"), ("mapped", "i4")]

_SLEEP = 0
_GLOBAL = 1


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots of all CPUs plus those of the pool; every possible CPU needs its address space."""
    pool = options["slots"] if options["overflow"] == _GLOBAL else 0
    return pool + options["slots_per_cpu"] * shape.cpus


def page_struct_bytes(options: dict[str, int], shape: Shape) -> int:
    """Only the pool records where a page is mapped."""
    return 4 if options["overflow"] == _GLOBAL else 0


def queues(options: dict[str, int], shape: Shape) -> int:
    """One wait queue per CPU, or one for the pool."""
    return 1 if options["overflow"] == _GLOBAL else shape.cpus


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """With overflow=global, the machine has a pool and no task waits for a slot of a CPU."""
    if options["overflow"] == _GLOBAL:
        return {"wait_pinned": "overflow=sleep"}
    return dict.fromkeys(("slots", "flush_if_any", "wake"), "overflow=global")


@inline
def _first(a: State) -> int:
    """First slot of the first CPU."""
    return a.options[0].slots if a.options[0].overflow == _GLOBAL else 0


def prepare(a: State, shape: Shape) -> None:
    """Put every slot on its CPU's free list, in ascending order."""
    per_cpu = int(a.options[0].slots_per_cpu)
    for c in range(shape.cpus):
        first = int(_first(a)) + c * per_cpu
        fill_free(a, a.percpu[c], first, first + per_cpu)


_ASK = 0
_WOKEN = 1


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take a free slot of this CPU, wait in its queue for one, or use the pool instead."""
    pool = a.percpu[d.cpu]
    if a.options[0].overflow == _GLOBAL and (r.step != _ASK or pool.free == 0):
        return _map_globally(a, r, d)
    if r.step == _WOKEN and a.options[0].wait_pinned:
        unpin(d)
    probe(d, 1)
    if pool.free == 0:
        r.step = _WOKEN
        if a.options[0].wait_pinned:
            pin(d)
        d.queue = d.cpu
        return SLEEP
    pin(d)
    slot = take_free(a, pool)
    pool.mapped += 1
    a.slots[slot].mapped = 1
    r.slot = slot
    r.served = MISS
    touch_local(d, 1)
    write_pte(d)
    invalidate(a, d, slot)
    return DONE


@inline
def _map_globally(a: State, r: Request, d: StepCost) -> int:
    """Map in the machine's pool for a task that found no slot on its CPU."""
    if r.step == _ASK:
        probe(d, 1)
        r.step = ASK_AGAIN
    return fall_back(a, r, d)


_FREED = 1


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Free the slot, wake a task that waits on this CPU, and unpin; or unmap in the pool."""
    if r.served == FALLBACK:
        return unmap_cached(a, r, d, 0)
    if r.step == _FREED:
        return DONE
    pool = a.percpu[d.cpu]
    a.slots[r.slot].mapped = 0
    give_free(a, pool, r.slot)
    pool.mapped -= 1
    touch_local(d, 1)
    write_pte(d)
    unpin(d)
    r.step = _FREED
    if a.options[0].overflow == _SLEEP and a.queues[d.cpu].sleepers > 0:
        d.queue = d.cpu
        # A task that is not bound to this CPU may find its slot elsewhere and leave this one unused.
        return WAKE_ONE if a.options[0].wait_pinned else WAKE_ALL
    return STEP


def check(a: State, live: Check) -> list[str]:
    """Each CPU's count and free list must agree with the live mappings; the pool must be consistent too."""
    first, per_cpu = int(_first(a)), int(a.options[0].slots_per_cpu)
    following = a.slots.next.tolist()
    every_mapped = a.slots.mapped.nonzero()[0].tolist()
    problems = check_pools(a, live, first)
    for c in range(live.shape.cpus):
        own = range(first + c * per_cpu, first + (c + 1) * per_cpu)
        mapped = {s for s in every_mapped if s in own}
        held = {s for s in live.users if s in own}
        free = list_free(following, a.percpu[c])
        if mapped != held:
            problems.append(f"cpu {c}: slots {sorted(mapped ^ held)} are either mapped or held, but not both")
        if len(mapped) != a.percpu[c].mapped:
            problems.append(f"cpu {c}: its count is {a.percpu[c].mapped} mappings, found {len(mapped)}")
        if sorted(free) != sorted(set(own) - mapped):
            problems.append(f"cpu {c}: its free list contains {sorted(free)}")
    return problems


def lost_wakeups(a: State, live: Check) -> list[str]:
    """No task may remain asleep unless every slot that it could use is in use."""
    if a.options[0].overflow == _GLOBAL:
        return lost_wakeups_in_pools(a, live, int(_first(a)))
    free = [c for c in range(live.shape.cpus) if a.percpu[c].free > 0]
    return [text for c in free for text in check_sleepers(live, c, 1, f"slot of cpu {c} is free")]
