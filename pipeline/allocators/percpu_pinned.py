"""A pool per CPU, the task pinned while it maps: no lock, no IPI, no cache (Arcangeli, March 2002).

    percpu.free_head   first free slot of this CPU's pool, a list through slot.next; -1: none is free
    percpu.mapped      mappings in force; == slots_per_cpu: the next task waits in this CPU's queue

    slot.mapped        1 while somebody has it mapped
    slot.next          next free slot of the same CPU

Only the CPU itself ever touches its pool, so nothing needs a lock; a task must unmap where it mapped, so it
is pinned from its outermost map to its outermost unmap. A fresh mapping needs one local invalidation, because
the slot's last translation may still be in this CPU's TLB and in no other.

Source: A. Arcangeli, linux-kernel, March 2002: pin, then wait if the pool is full. Whether a waiting task
should stay pinned is left open there: `wait_pinned=false` lets it map on whatever CPU runs it next.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.contract import Check, Option, Shape
from pipeline.machine.simulator.actions import (
    DONE,
    MISS,
    SLEEP,
    STEP,
    WAKE_ALL,
    WAKE_ONE,
    invalidate,
    pin,
    probe,
    touch_local,
    unpin,
    write_pte,
)
from pipeline.machine.simulator.kernel import kernel

SUMMARY = "a pool per CPU with the task pinned: no lock, no IPI, no cache"
SOURCE = "A. Arcangeli, linux-kernel, March 2002"
OPTIONS = (
    Option("slots_per_cpu", 16, minimum=1, maximum=1 << 16, help="slots of each CPU's pool"),
    Option(
        "wait_pinned",
        True,
        help="whether a task that waits for its first slot stays bound to the CPU where it asked",
    ),
)
SLOT = [("mapped", "i4"), ("next", "i4")]
PERCPU = [("free_head", "i4"), ("mapped", "i4")]


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots over all CPUs; the address space must be there for every possible CPU."""
    return options["slots_per_cpu"] * shape.cpus


def queues(options: dict[str, int], shape: Shape) -> int:
    """One wait queue per CPU."""
    return shape.cpus


def prepare(a: Any, shape: Shape) -> None:
    """Put every slot on its CPU's free list, lowest number first."""
    per_cpu = int(a.options[0].slots_per_cpu)
    for c in range(shape.cpus):
        first = c * per_cpu
        a.percpu[c].free_head = first
        for s in range(first, first + per_cpu):
            a.slots[s].next = s + 1 if s + 1 < first + per_cpu else -1


_ASK = 0
_WOKEN = 1


@kernel
def map_step(a: Any, r: Any, d: Any) -> int:
    """Take a free slot of this CPU, or wait in its queue for one."""
    pool = a.percpu[d.cpu]
    if r.step == _WOKEN and a.options[0].wait_pinned:
        unpin(d)
    probe(d, 1)
    if pool.free_head < 0:
        r.step = _WOKEN
        if a.options[0].wait_pinned:
            pin(d)
        d.queue = d.cpu
        return SLEEP
    pin(d)
    slot = pool.free_head
    pool.free_head = a.slots[slot].next
    pool.mapped += 1
    a.slots[slot].mapped = 1
    r.slot = slot
    r.served = MISS
    touch_local(d, 1)
    write_pte(d)
    invalidate(a, d, slot)
    return DONE


_FREED = 1


@kernel
def unmap_step(a: Any, r: Any, d: Any) -> int:
    """Free the slot, wake who waits on this CPU, and unpin."""
    if r.step == _FREED:
        return DONE
    pool = a.percpu[d.cpu]
    a.slots[r.slot].mapped = 0
    a.slots[r.slot].next = pool.free_head
    pool.free_head = r.slot
    pool.mapped -= 1
    touch_local(d, 1)
    write_pte(d)
    unpin(d)
    r.step = _FREED
    if a.queues[d.cpu].sleepers > 0:
        d.queue = d.cpu
        # One that is not bound to this CPU may find its slot elsewhere and leave this one to nobody.
        return WAKE_ONE if a.options[0].wait_pinned else WAKE_ALL
    return STEP


def check(a: Any, live: Check) -> list[str]:
    """Each CPU's count, free list and the live mappings must agree."""
    problems = []
    per_cpu = int(a.options[0].slots_per_cpu)
    for c in range(live.shape.cpus):
        own = range(c * per_cpu, (c + 1) * per_cpu)
        mapped = {s for s in own if a.slots[s].mapped}
        held = {s for s in live.users if s in own}
        free: list[int] = []
        s = int(a.percpu[c].free_head)
        while s >= 0 and len(free) <= per_cpu:
            free.append(s)
            s = int(a.slots[s].next)
        if mapped != held:
            problems.append(f"cpu {c}: slots {sorted(mapped ^ held)} are mapped or held, not both")
        if len(mapped) != a.percpu[c].mapped:
            problems.append(f"cpu {c}: counts {a.percpu[c].mapped} mappings, has {len(mapped)}")
        if sorted(free) != sorted(set(own) - mapped):
            problems.append(f"cpu {c}: its free list holds {sorted(free)}")
    return problems


def stranded(a: Any, live: Check) -> list[str]:
    """Nobody may be left asleep unless every slot of his CPU is mapped."""
    return [
        f"cpu {c}: {live.sleepers[c]} tasks sleep beside a free slot"
        for c in range(live.shape.cpus)
        if live.sleepers[c] and a.percpu[c].free_head >= 0
    ]
