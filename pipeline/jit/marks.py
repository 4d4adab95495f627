"""The marks of functions that run inside the simulation, and the operations that they need beyond Python.

When imported, the marks change nothing: the simulator is plain Python. A compiled copy replaces this module
by `pipeline.jit.compiled_marks`, whose marks compile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


def inline(function: _Function) -> _Function:
    """Mark a function that the simulation calls while it runs."""
    return function


def noinline(function: _Function) -> _Function:
    """Mark a function that is not inlined into its callers.

    Use it for functions that are rarely called, or called from many places.
    """
    return function


def entry(function: _Function) -> _Function:
    """Mark a function that Python calls to run the simulation."""
    return function


def prefetch(table: Any, index: int) -> None:
    """Prefetch a row of a table that is needed soon; affects only the speed of compiled code."""


def wrap64(value: int) -> int:
    """Return `value` as a signed 64-bit integer that wraps around, as compiled code does implicitly."""
    return ((value + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def view(tables: Any, number: int) -> Any:
    """The tables of allocator `number` of several, by their names in `State`."""
    return tables.views[number]
