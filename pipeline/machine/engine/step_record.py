"""Resetting and pricing what a step records. `pipeline.machine.compose` puts what follows from the table of
`pipeline.machine.costs` in this module's place.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api.protocols import StepCost
from pipeline.jit.marks import inline


@inline
def reset(d: StepCost) -> None:
    """Begin a step: nothing is recorded yet."""


@inline
def critical_ns(d: StepCost, costs: Any) -> int:
    """What the step's own work takes."""
    raise NotImplementedError


@inline
def scan_ns(d: StepCost, costs: Any) -> int:
    """What its passes over slots take."""
    raise NotImplementedError


@inline
def flush_ns(d: StepCost, costs: Any) -> int:
    """What its invalidations of single addresses take."""
    raise NotImplementedError
