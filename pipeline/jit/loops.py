"""Compiling the loops over a trace's rows and over a recording's events."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numba
from numba import types


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile when first called, and keep the code for the next start where there is a place to."""
    return _compiled(function, entry=True)


def compiled_inside(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile as `compiled` does, without what lets Python call it: for functions of compiled ones alone."""
    return _compiled(function, entry=False)


def compiled_using(*modules: str, entry: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function that uses functions or constants of other `modules`; Python may call an `entry`.

    Numba keeps compiled code by the date of the function's own file alone, and would go on with what another
    one held before it changed.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        dispatcher = _compiled(function, entry)
        try:
            kept = dispatcher._cache._cache_file  # type: ignore[attr-defined]
            kept._source_stamp = (kept._source_stamp, _digest(function.__module__, *modules))
        except AttributeError:
            # Not kept at all, or by a Numba that keeps it otherwise.
            return _compiled(function, entry, keep=False)
        return dispatcher

    return decorate


def _compiled(function: Callable[..., Any], entry: bool, keep: bool = True) -> Callable[..., Any]:
    # Numba's types do not know of the wrappers.
    options: dict[str, Any] = {"no_cpython_wrapper": not entry, "no_cfunc_wrapper": True}
    try:
        dispatcher = numba.njit(cache=keep, nogil=True, error_model="numpy", **options)(function)
    except RuntimeError:
        return _compiled(function, entry, keep=False)
    return _once_for_all_constants(dispatcher)


def _once_for_all_constants(dispatcher: Any) -> Any:
    """Keep Numba from compiling a function once more for each constant that compiled code calls it with."""
    template_of = getattr(dispatcher, "get_call_template", None)
    if template_of is None:
        return dispatcher

    def get_call_template(args: Sequence[Any], kws: Mapping[str, Any]) -> Any:
        named = {name: types.unliteral(found) for name, found in dict(kws).items()}
        return template_of(tuple(types.unliteral(found) for found in args), named)

    dispatcher.get_call_template = get_call_template
    return dispatcher


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
