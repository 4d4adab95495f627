"""Compiling the loops over a trace's rows and over a recording's events."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile when first called, and keep the code for the next start where there is a place to."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        return numba.njit(nogil=True, error_model="numpy")(function)


def compiled_using(*modules: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function as `compiled` does, one that uses functions or constants of other `modules`.

    Numba keeps compiled code by the date of the function's own file alone, and would go on with what another
    one held before it changed.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        dispatcher = compiled(function)
        try:
            kept = dispatcher._cache._cache_file  # type: ignore[attr-defined]
            kept._source_stamp = (kept._source_stamp, _digest(function.__module__, *modules))
        except AttributeError:
            # Not kept at all, or by a Numba that keeps it otherwise.
            return numba.njit(nogil=True, error_model="numpy")(function)
        return dispatcher

    return decorate


def has_to_compile(function: Callable[..., Any]) -> bool:
    """Whether calling the compiled `function` begins with compiling it: it never was, or not kept."""
    try:
        kept = function._cache._cache_file  # type: ignore[attr-defined]
        return not function.signatures and not kept._load_index()  # type: ignore[attr-defined]
    except AttributeError:
        return False


def _digest(*modules: str) -> str:
    files = [sys.modules[name].__file__ for name in modules]
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files if file)).hexdigest()
