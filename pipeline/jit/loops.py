"""Compiling the loops over the rows of a trace and the events of a recording."""

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
    """Compile at the first call, and keep the code for later processes if possible."""
    return _compile(function, entry=True)


def compiled_inside(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile like `compiled`, but only for calls from other compiled functions."""
    return _compile(function, entry=False)


def _compile(function: Callable[..., Any], entry: bool, keep: bool = True) -> Callable[..., Any]:
    dispatcher: Callable[..., Any] = make_dispatcher(
        function, types.unliteral, cache=keep, no_cpython_wrapper=not entry
    )
    # Numba checks only the date of the function's own file, so it would use kept code after a change of a
    # module that the file imports.
    if keep and not add_to_stamp(dispatcher, _digest(function.__module__)):
        return _compile(function, entry, keep=False)
    return dispatcher


def has_to_compile(function: Callable[..., Any]) -> bool:
    """Whether calling the compiled `function` first compiles it, because no code was kept."""
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
    """Text of a source file, and the names that it imports at its top level and that may be modules."""
    source = Path(file).read_bytes()
    names: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            names += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return source, [name for name in names if name.startswith("pipeline.")]
