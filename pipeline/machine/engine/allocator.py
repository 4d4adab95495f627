"""The functions that an allocator must define. A composed simulator replaces this module by its file.

`pipeline.allocators.api.protocols` describes `a`, `r` and `d`. The allocator of this module needs no mapping
at all; it is here so that the engine can be read and type-checked separately.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline
from pipeline.schema.codes import DIRECT


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take the next step of mapping `r.page`; return an action. On DONE, `r.slot` and `r.served` are set."""
    r.slot = -1
    r.served = DIRECT
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Take the next step of unmapping `r.slot`; return an action."""
    return DONE
