"""NAME: a few slots per CPU; the task is pinned while it maps.

    percpu.last    slot of this CPU taken last, counted from its first; the next search begins after it

    slot.users     0   free: no task uses it, but the TLB of its own CPU may hold its old translation
                   1   mapped by a task

Only the CPU itself ever uses its slots, so they need no lock, and no other TLB ever holds their translations.
In return, a task must unmap on the CPU where it mapped, so it is pinned from its outermost map to its
outermost unmap. A task that finds no free slot sleeps in the queue of its CPU, still pinned.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, SLEEP, WAKE_ALL
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import invalidate, pin, probe, touch_local, unpin, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline
from pipeline.schema.codes import MISS

SUMMARY = "NAME: a few slots per CPU; the task is pinned while it maps"
SOURCE = "the skeleton of `pipeline new allocator`"
OPTIONS = (Option("slots_per_cpu", 16, minimum=1, maximum=1024, help="slots of each CPU"),)
PERCPU = [("last", "i4")]
SLOT = [("users", "i4")]


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots of all CPUs; those of CPU c start at c * slots_per_cpu."""
    return options["slots_per_cpu"] * shape.cpus


def queues(options: dict[str, int], shape: Shape) -> int:
    """One wait queue per CPU."""
    return shape.cpus


# Progress of an operation, kept in r.step; it starts at 0.
_ASKED = 0
_PINNED = 1


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take a free slot of this CPU, or sleep until one is released and search again."""
    if r.step == _ASKED:
        pin(d)
        r.step = _PINNED
    size = a.options[0].slots_per_cpu
    for k in range(size):
        at = (a.percpu[d.cpu].last + 1 + k) % size
        slot = d.cpu * size + at
        probe(d, 1)
        if a.slots[slot].users == 0:
            a.percpu[d.cpu].last = at
            a.slots[slot].users = 1
            touch_local(d, 1)
            write_pte(d)
            # Invalidate here, not at the release: a stale translation is harmless until the slot is reused.
            invalidate(a, d, slot)
            r.slot = slot
            r.served = MISS
            return DONE
    d.queue = d.cpu
    return SLEEP


_DROPPED = 1


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Release the slot, unpin, and wake the tasks that sleep on this CPU."""
    if r.step == _DROPPED:
        return DONE
    touch_local(d, 1)
    a.slots[r.slot].users -= 1
    unpin(d)
    if a.queues[d.cpu].sleepers == 0:
        return DONE
    r.step = _DROPPED
    d.queue = d.cpu
    return WAKE_ALL


def check(a: State, live: Check) -> list[str]:
    """Check at the end of a run that each slot's users match the current mappings."""
    return [
        f"slot {s}: {slot.users} users, {live.users.get(s, 0)} current mappings"
        for s, slot in enumerate(a.slots)
        if slot.users != live.users.get(s, 0)
    ]


def lost_wakeups(a: State, live: Check) -> list[str]:
    """Check at the end of a run that no task sleeps while a slot of its CPU is free."""
    size = int(a.options[0].slots_per_cpu)
    return [
        f"cpu {c}: {sleepers} tasks sleep although a slot is free"
        for c, sleepers in enumerate(live.sleepers)
        if sleepers and any(a.slots[s].users == 0 for s in range(c * size, (c + 1) * size))
    ]
