"""Beginning a step. A composed simulator replaces this module by one generated from the fields of a step."""

from __future__ import annotations

from pipeline.allocators.api.protocols import StepCost
from pipeline.jit.marks import inline


@inline
def reset(d: StepCost) -> None:
    """Begin a step: clear its records."""
