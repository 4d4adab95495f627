"""Compiling the loops over a trace's rows and over a recording's events."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import types

from pipeline.jit import compiled_tables  # noqa: F401 - what Numba needs to take `Tables`
from pipeline.jit.dispatchers import add_to_stamp, is_kept, make_dispatcher


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile when first called, and keep the code for the next start where there is a place to."""
    return _compile(function, entry=True)


def compiled_inside(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile as `compiled` does, without what lets Python call it: for functions of compiled ones alone."""
    return _compile(function, entry=False)


def _compile(function: Callable[..., Any], entry: bool, keep: bool = True) -> Callable[..., Any]:
    dispatcher: Callable[..., Any] = make_dispatcher(
        function, types.unliteral, cache=keep, no_cpython_wrapper=not entry
    )
    # Numba keeps compiled code by the date of the function's own file alone, and would go on with what a
    # module that it imports held before that changed.
    if keep and not add_to_stamp(dispatcher, _digest(function.__module__)):
        return _compile(function, entry, keep=False)
    return dispatcher


def has_to_compile(function: Callable[..., Any]) -> bool:
    """Whether calling the compiled `function` begins with compiling it: it never was, or not kept."""
    return not is_kept(function)


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
