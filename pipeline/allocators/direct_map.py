"""No temporary mapping at all: every page has its permanent kernel address, as on 64-bit kernels.

Nothing is locked, flushed or waited for, so this is the lower bound of every cost: what a run costs when
mapping is free.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline
from pipeline.schema.codes import DIRECT

SUMMARY = "lower bound: a 64-bit kernel's permanent map; nothing to do"
SOURCE = "what removing highmem would leave"
BOUND = "lower bound"


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """The page's address is known."""
    r.slot = -1
    r.served = DIRECT
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Nothing to undo."""
    return DONE
