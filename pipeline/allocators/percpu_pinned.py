"""A pool per CPU, the task pinned while it maps: no lock, no IPI, no cache (Arcangeli, March 2002).

    percpu.free        1 + the first free slot of this CPU's pool, a list through slot.next; 0: none is free
    percpu.mapped      mappings in force; == slots_per_cpu: the next task waits in this CPU's queue

    slot.mapped        1 while somebody has it mapped
    slot.next          1 + the next free slot of the same CPU

With overflow=global, slots 0 to slots - 1 are a pool for the machine, and those of the CPUs come after it:

    slot.count         0 clean, 1 cached and unused, n: n - 1 users; and as in global_pool:
    slot.page, page.slot, pool.cursor

Only the CPU itself ever touches its pool, so nothing needs a lock; a task must unmap where it mapped, so it
is pinned from its outermost map to its outermost unmap. A fresh mapping needs one local invalidation, because
the slot's last translation may still be in this CPU's TLB and in no other.

With `overflow=global` nobody waits for a slot of a CPU: a task that finds none maps in the pool of the
machine instead, under its lock and at its price, and is not pinned for that (served: fallback). It may sleep
there, if all of that pool is in use. So the slots of the CPUs are a front end: few will do, as tasks rarely
hold more maps at once.

Source: A. Arcangeli, linux-kernel, March 2002: pin, then wait if the pool is full. Whether a waiting task
should stay pinned is left open there: `wait_pinned=false` lets it map on whatever CPU runs it next. The front
end of four to eight slots: S. Tweedie and A. Morton, July 2002. Ours: a page that the machine's pool has
cached is not looked for there while the CPU has a slot; a task that has slept for that pool does not try the
CPU's slots again.

What the machine leaves out makes pinning look dearer than it may be: a task that is not pinned finds any idle
CPU at once, as there is one queue for the machine, so that waiting for one's own CPU is measured against
perfect balance. That setting and lifting the pin takes time is left out too.
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
    Option("wait_pinned", True, help="bind a task that waits for its first slot to the CPU where it asked"),
    Option("overflow", "sleep", choices=("sleep", "global"), help="who finds no slot sleeps, or uses a pool"),
    Option(
        "slots",
        1024,
        minimum=2,
        maximum=1 << 20,
        help="slots of the pool of overflow=global",
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
    """Slots over all CPUs, and the pool's; the address space must be there for every possible CPU."""
    pool = options["slots"] if options["overflow"] == _GLOBAL else 0
    return pool + options["slots_per_cpu"] * shape.cpus


def page_struct_bytes(options: dict[str, int], shape: Shape) -> int:
    """Only the pool needs to know where a page is mapped."""
    return 4 if options["overflow"] == _GLOBAL else 0


def queues(options: dict[str, int], shape: Shape) -> int:
    """One wait queue per CPU, or one for the pool."""
    return 1 if options["overflow"] == _GLOBAL else shape.cpus


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """With overflow=global the machine has a pool, and no task waits for a slot of a CPU."""
    if options["overflow"] == _GLOBAL:
        return {"wait_pinned": "overflow=sleep"}
    return dict.fromkeys(("slots", "flush_if_any", "wake"), "overflow=global")


@inline
def _first(a: State) -> int:
    """First slot of the first CPU."""
    return a.options[0].slots if a.options[0].overflow == _GLOBAL else 0


def prepare(a: State, shape: Shape) -> None:
    """Put every slot on its CPU's free list, lowest number first."""
    per_cpu = int(a.options[0].slots_per_cpu)
    for c in range(shape.cpus):
        first = int(_first(a)) + c * per_cpu
        fill_free(a, a.percpu[c], first, first + per_cpu)


_ASK = 0
_WOKEN = 1


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take a free slot of this CPU, or wait in its queue for one, or use the pool instead."""
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
    """Let the pool of the machine serve a task that found no slot on its CPU."""
    if r.step == _ASK:
        probe(d, 1)
        r.step = ASK_AGAIN
    return fall_back(a, r, d)


_FREED = 1


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Free the slot, wake a task that waits on this CPU, and unpin; or do what the pool does."""
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
        # One that is not bound to this CPU may find its slot elsewhere and leave this one to nobody.
        return WAKE_ONE if a.options[0].wait_pinned else WAKE_ALL
    return STEP


def check(a: State, live: Check) -> list[str]:
    """Each CPU's count, free list and the live mappings must agree; the pool must be in order too."""
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
            problems.append(f"cpu {c}: slots {sorted(mapped ^ held)} are mapped or held, not both")
        if len(mapped) != a.percpu[c].mapped:
            problems.append(f"cpu {c}: counts {a.percpu[c].mapped} mappings, has {len(mapped)}")
        if sorted(free) != sorted(set(own) - mapped):
            problems.append(f"cpu {c}: its free list holds {sorted(free)}")
    return problems


def lost_wakeups(a: State, live: Check) -> list[str]:
    """No task may be left asleep unless every slot that it could have is in use."""
    if a.options[0].overflow == _GLOBAL:
        return lost_wakeups_in_pools(a, live, int(_first(a)))
    free = [c for c in range(live.shape.cpus) if a.percpu[c].free > 0]
    return [text for c in free for text in check_sleepers(live, c, 1, f"slot of cpu {c} is free")]
