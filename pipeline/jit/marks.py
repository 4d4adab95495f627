"""The marks of functions that run inside the simulation, and what those need from beyond Python.

As imported, the marks change nothing: the simulator is plain Python. In a compiled copy this module is
replaced by `pipeline.jit.compiled_marks`, in which they compile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


def inline(function: _Function) -> _Function:
    """Mark a function that the simulation calls while it runs."""
    return function


def noinline(function: _Function) -> _Function:
    """Mark a function that stays one of its own: its code would be in its callers' way.

    For what is seldom needed, or called from many places.
    """
    return function


def entry(function: _Function) -> _Function:
    """Mark a function that Python calls to run the simulation."""
    return function


def prefetch(table: Any, index: int) -> None:
    """Ask for a row of a table that is needed soon; changes nothing but the time compiled code takes."""


def wrap64(value: int) -> int:
    """Return `value` as a signed 64-bit integer would hold it, which compiled code does by itself."""
    return ((value + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def view(tables: Any, number: int) -> Any:
    """The tables of allocator `number` of several, by the names that it knows."""
    return tables.views[number]
