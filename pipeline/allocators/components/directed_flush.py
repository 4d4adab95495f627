"""Ending translations only on the CPUs that may have them, instead of on all.

`mask` has a bit for each of those CPUs; the one that runs the task may be among them.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import FLUSH_LOCAL, FLUSH_MASK, SHOOT_DOWN, STEP
from pipeline.allocators.api.effects import invalidate, invalidate_on, this_cpu
from pipeline.allocators.api.protocols import State, StepCost
from pipeline.jit.marks import inline


@inline
def flush_there(d: StepCost, mask: int) -> int:
    """Return the action that flushes the TLBs of those CPUs and, in any case, of this one."""
    others = mask & ~this_cpu(d)
    if others == 0:
        return FLUSH_LOCAL
    d.cpu_mask = others | this_cpu(d)
    return FLUSH_MASK


@inline
def invalidate_there(a: State, d: StepCost, slot: int, mask: int) -> int:
    """Invalidate the address of a slot that nobody uses yet; return the action that does so elsewhere."""
    if mask & this_cpu(d):
        invalidate(a, d, slot)
    others = mask & ~this_cpu(d)
    if others == 0:
        return STEP
    invalidate_on(a, d, slot, others)
    return SHOOT_DOWN
