"""Compiling a loop of this project so that it is called by its machine code, without importing Numba."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.jit.cache import cache_directory, compiler_facts
from pipeline.jit.machine_code import CompiledFunction, MachineCode


@cache
def compiled_entry(function: Callable[..., int | None]) -> CompiledFunction:
    """Compile at the first call, and keep the machine code, see `machine_code.CompiledFunction`.

    The function may call no other function of the project. Of its module's imports, it may use only numbers.
    """
    module = function.__module__

    def compile_entry(arguments: list[Any]) -> MachineCode:
        from pipeline.jit.dispatchers import emit, make_dispatcher  # noqa: PLC0415 - imports Numba
        from pipeline.jit.libraries import EntryCompiler  # noqa: PLC0415 - imports Numba

        return emit(
            make_dispatcher(function, no_cpython_wrapper=True, pipeline_class=EntryCompiler), arguments
        )

    def folder() -> Path:
        return cache_directory() / f"{module.rpartition('.')[2]}_{_identity(module)}"

    return CompiledFunction(folder, function.__name__, compile_entry)


@cache
def _identity(module: str) -> str:
    """Hash of everything that determines the behaviour of the module's functions."""
    loaded = sys.modules[module]
    numbers = sorted(item for item in vars(loaded).items() if isinstance(item[1], int | float))
    facts = (Path(str(loaded.__file__)).read_bytes(), numbers, sys.version_info[:2], *compiler_facts())
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
