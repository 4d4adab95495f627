"""Ending translations only on the CPUs that may have them, instead of on all.

`mask` has a bit for each of those CPUs, possibly including the CPU that runs the task.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import FLUSH_LOCAL, FLUSH_MASK, SHOOT_DOWN, STEP
from pipeline.allocators.api.effects import invalidate, invalidate_on, this_cpu
from pipeline.allocators.api.protocols import State, StepCost
from pipeline.jit.marks import inline


@inline
def flush_there(d: StepCost, mask: int) -> int:
    """Return the action that flushes the TLBs of the CPUs of `mask` and always that of this CPU."""
    others = mask & ~this_cpu(d)
    if others == 0:
        return FLUSH_LOCAL
    d.cpu_mask = others | this_cpu(d)
    return FLUSH_MASK


@inline
def invalidate_there(a: State, d: StepCost, slot: int, mask: int) -> int:
    """Invalidate the address of a slot not yet in use on this CPU; return the action for the other CPUs."""
    if mask & this_cpu(d):
        invalidate(a, d, slot)
    others = mask & ~this_cpu(d)
    if others == 0:
        return STEP
    invalidate_on(a, d, slot, others)
    return SHOOT_DOWN
