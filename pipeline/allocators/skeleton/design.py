"""NAME: a few slots per CPU, the task pinned while it maps.

    percpu.last    slot of this CPU that was taken last, counted from its first; the search begins behind it

    slot.users     0   free: nobody uses it. Its old translation may still be in the TLB of its own CPU
                   1   somebody has it mapped

Only the CPU itself ever uses its slots, so nothing needs a lock, and no other TLB ever holds what they map.
In exchange a task must unmap where it mapped: it is pinned from its outermost map to its outermost unmap. A
task that finds no slot free sleeps in the queue of its CPU, still pinned.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, SLEEP, WAKE_ALL
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import invalidate, pin, probe, touch_local, unpin, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline
from pipeline.schema.codes import MISS

SUMMARY = "NAME: a few slots per CPU, the task pinned while it maps"
SOURCE = "the skeleton of `pipeline new allocator`"
OPTIONS = (Option("slots_per_cpu", 16, minimum=1, maximum=1024, help="slots of each CPU"),)
PERCPU = [("last", "i4")]
SLOT = [("users", "i4")]


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots over all CPUs: CPU c has those from c * slots_per_cpu on."""
    return options["slots_per_cpu"] * shape.cpus


def queues(options: dict[str, int], shape: Shape) -> int:
    """One wait queue per CPU."""
    return shape.cpus


# Where an operation is, kept in r.step; it starts at 0.
_ASKED = 0
_PINNED = 1


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take a free slot of this CPU, or sleep until one is given back, and look again."""
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
            # Not when it was given back: until somebody takes it, a stale translation harms nobody.
            invalidate(a, d, slot)
            r.slot = slot
            r.served = MISS
            return DONE
    d.queue = d.cpu
    return SLEEP


_DROPPED = 1


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Give the slot back, unpin, and wake the tasks that sleep on this CPU."""
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
    """At the end of a run: users must be as many as mappings are in force."""
    return [
        f"slot {s}: {slot.users} users, {live.users.get(s, 0)} mappings in force"
        for s, slot in enumerate(a.slots)
        if slot.users != live.users.get(s, 0)
    ]


def lost_wakeups(a: State, live: Check) -> list[str]:
    """At the end of a run: no task may be left asleep beside a free slot of its CPU."""
    size = int(a.options[0].slots_per_cpu)
    return [
        f"cpu {c}: {sleepers} tasks sleep beside a free slot"
        for c, sleepers in enumerate(live.sleepers)
        if sleepers and any(a.slots[s].users == 0 for s in range(c * size, (c + 1) * size))
    ]
