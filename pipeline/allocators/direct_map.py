"""No temporary mapping at all: every page has its permanent kernel address, as on 64-bit kernels.

Nothing is locked, flushed or waited for: mapping takes no time of any CPU, which is the lower bound of what
it can cost. Of throughput it is none. The tasks of another design wait and are preempted at other moments,
and may so be spread over the CPUs with less idling, or switch less often: a run in which each step takes
longer can end sooner (R. L. Graham, 1969, on list scheduling).
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE
from pipeline.allocators.api.contract import COST_BOUND
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline
from pipeline.schema.codes import DIRECT

SUMMARY = "lower bound of costs: a 64-bit kernel's permanent map; nothing to do"
SOURCE = "what removing highmem would leave"
BOUND = COST_BOUND


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
