"""Compiling the loops over a trace's rows and over a recording's events."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import types

from pipeline.jit import compiled_tables  # noqa: F401 - what Numba needs to take `Tables`


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile when first called, and keep the code for the next start where there is a place to."""
    return _compile(function, entry=True)


def compiled_inside(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile as `compiled` does, without what lets Python call it: for functions of compiled ones alone."""
    return _compile(function, entry=False)


def _compile(function: Callable[..., Any], entry: bool, keep: bool = True) -> Callable[..., Any]:
    # Numba's types do not know of the wrappers.
    options: dict[str, Any] = {"no_cpython_wrapper": not entry, "no_cfunc_wrapper": True}
    try:
        dispatcher = numba.njit(cache=keep, nogil=True, error_model="numpy", **options)(function)
        if keep:
            # Numba keeps compiled code by the date of the function's own file alone, and would go on with
            # what a module that it imports held before that changed.
            kept = dispatcher._cache._cache_file
            kept._source_stamp = (kept._source_stamp, _digest(function.__module__))
    except (RuntimeError, AttributeError):
        # There is no place to keep it, or this Numba keeps it otherwise.
        return _compile(function, entry, keep=False)
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


def _digest(module: str) -> str:
    """Hash of the sources of a module and of all that it imports from this project."""
    sources: dict[str, bytes] = {}
    wanted = [module]
    while wanted:
        name = wanted.pop()
        if name not in sources and (file := getattr(sys.modules.get(name), "__file__", None)):
            sources[name], imported = _source_and_imports(file)
            wanted += imported
    return hashlib.sha256(b"".join(sources[name] for name in sorted(sources))).hexdigest()


@cache
def _source_and_imports(file: str) -> tuple[bytes, list[str]]:
    """Text of a source file, and the names of what it imports at its top that may be modules."""
    source = Path(file).read_bytes()
    names: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            names += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return source, [name for name in names if name.startswith("pipeline.")]
