"""Whom an unmap wakes that leaves a slot to be had: every sleeper of a queue, as kernels do, or the first.

The design must have the option `wake`, and name the queue.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api.actions import WAKE_ALL, WAKE_ONE
from pipeline.allocators.api.contract import Option
from pipeline.jit.marks import inline

WAKE_OPTION = Option("wake", "all", choices=("all", "one"), help="sleepers that an unmap wakes (kernel: all)")


@inline
def wake(a: Any) -> int:
    """Return the action that wakes as many as the option says."""
    return WAKE_ONE if a.options[0].wake == 1 else WAKE_ALL
