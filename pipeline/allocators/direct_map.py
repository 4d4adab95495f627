"""No temporary mappings: every page has a permanent kernel address, as on 64-bit kernels.

There is no lock, no flush and no wait. Mapping takes no CPU time, which is the lower bound of its cost. It is
not an upper bound of throughput. The tasks of another design wait and are preempted at other times. They may
then be spread over the CPUs with less idle time or fewer switches: a run in which each step takes longer can
end sooner (R. L. Graham, 1969, on list scheduling).
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
    """Return without a slot: the page's address is known."""
    r.slot = -1
    r.served = DIRECT
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Return: there is nothing to undo."""
    return DONE
