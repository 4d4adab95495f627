"""Beginning a step. A composed simulator has what follows from the fields of the step in this place."""

from __future__ import annotations

from pipeline.allocators.api.protocols import StepCost
from pipeline.jit.marks import inline


@inline
def reset(d: StepCost) -> None:
    """Begin a step: nothing is recorded yet."""
