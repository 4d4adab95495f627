"""What an allocator must define. A composed simulator has an allocator's own file in this module's place.

`pipeline.allocators.api.protocols` says what `a`, `r` and `d` hold. This one needs no mapping at all; it
stands here so that the engine can be read and checked by itself.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline
from pipeline.schema.codes import DIRECT


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Do the next step of mapping `r.page`; return an action. On DONE, `r.slot` and `r.served` are set."""
    r.slot = -1
    r.served = DIRECT
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Do the next step of unmapping `r.slot`; return an action."""
    return DONE
