"""The mark of functions that run inside the simulation, compiled or not.

As imported, the marks change nothing: the simulator is plain Python. In a compiled copy this module is
replaced by `pipeline.machine.compiled_kernel`, in which they compile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Mark a function that the simulation calls while it runs."""
    return function


def entry(function: _Function) -> _Function:
    """Mark a function that Python calls to run the simulation."""
    return function
