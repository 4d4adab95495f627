"""Composition of the engine with one allocator, compiled or as plain Python.

A composed simulator is a small package in memory. It contains copies of the engine's modules and of the
modules that they and the allocator import and that contain code to compile, as their import of
`pipeline.jit.marks` shows. The allocator's file replaces `engine.allocator`. If several allocators share a
run, a router replaces it (see `pipeline.machine.composite`). The name of the package is a hash of everything
that determines the behaviour of the compiled code (all sources, record layouts, versions), so code of an
older allocator is never used.

Without compilation, the same sources are executed under their own file names, so a debugger stops in them.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import Composite
from pipeline.allocators.api.traits import FLAGS, HOOKS, WORK
from pipeline.jit.cache import cache_directory, compiler_facts
from pipeline.jit.machine_code import CompiledFunction, MachineCode, is_kept
from pipeline.jit.plain_tables import on_images
from pipeline.machine.composite.router import router_source
from pipeline.machine.costs import counts_source, step_record_source

_PROJECT = Path(__file__).parents[2]
_ENGINE = "pipeline.machine.engine"
_TRAITS = "pipeline.allocators.api.traits"
_COUNTS = "pipeline.allocators.api.counts"
_MARKS = "pipeline.jit.marks"
# Functions called from outside, and the module of the engine in which each is.
_ENTRIES = {
    "run": "simulate",
    "finish": "simulate",
    "admit": "trace_rows",
    "arrange": "trace_rows",
    "scale_times": "jitter",
    "step": "allocator_call",
    "take_turns": "lock_schedule",
}
# The subset that every replay calls.
_CALLED_BY_REPLAYS = ("run", "finish", "admit", "arrange")
_IMPORT = re.compile(r"^from (pipeline[\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)

# Several threads may request one package at the same time.
_executing = threading.Lock()

# Source and file of each module of a composed package, by the name of the original module.
_Sources = dict[str, tuple[str, Path]]


@dataclass(frozen=True)
class Simulator:
    """The functions of one composed simulator, see `engine.simulate`, `trace_rows`, `jitter`,
    `allocator_call` and `lock_schedule`."""

    compiled: bool
    run: Callable[..., int]
    finish: Callable[..., int]
    admit: Callable[..., Any]
    arrange: Callable[..., int]
    scale_times: Callable[..., Any]
    step: Callable[..., int]
    take_turns: Callable[..., int]


def _file_of(module: str) -> Path:
    return _PROJECT / f"{module.replace('.', '/')}.py"


@cache
def _is_package(module: str) -> bool:
    return _file_of(module).with_suffix("").is_dir()


def _imports_of(text: str) -> Iterator[str]:
    """Modules of the project that a source imports."""
    for module, names in _IMPORT.findall(text):
        if _is_package(module):
            inner = [f"{module}.{name.strip()}" for name in names.split(",")]
            yield from (name for name in inner if _file_of(name).is_file())
        else:
            yield module


@cache
def _sources(allocator: Allocator) -> _Sources:
    """The sources of the composed package: all modules with code to compile that the entries reach."""
    traits, costs = _file_of(_TRAITS), _file_of("pipeline.machine.costs")
    own: _Sources = {
        _TRAITS: (traits.read_text(encoding="utf-8") + _declarations(allocator), traits),
        f"{_ENGINE}.step_record": (step_record_source(), costs),
        _COUNTS: (counts_source(), costs),
    }
    files = {f"{_ENGINE}.allocator": allocator.path}
    if isinstance(allocator, Composite):
        files = {f"{_ENGINE}.allocator_{k}": one.path for k, one in enumerate(allocator.allocators)}
        router = _file_of("pipeline.machine.composite.router")
        own[f"{_ENGINE}.allocator"] = router_source(allocator), router
    own |= {module: (path.read_text(encoding="utf-8"), path) for module, path in files.items()}
    sources: _Sources = {}
    reached = [f"{_ENGINE}.{name}" for name in dict.fromkeys(_ENTRIES.values())]
    for module in reached:
        if module in sources or module == _MARKS:
            continue
        path = _file_of(module)
        text, path = own.get(module) or (path.read_text(encoding="utf-8"), path)
        if module in own or f"from {_MARKS} import" in text:
            sources[module] = text, path
            reached += _imports_of(text)
    return sources


def _declarations(allocator: Allocator) -> str:
    """An allocator's declarations, which are placed after the defaults and override them: see `traits`."""
    names = (*FLAGS, "MIXED_PTES", "is_global", *HOOKS, WORK)
    declared = [name for name in names if hasattr(allocator.module, name)]
    lines = [f"from {_ENGINE}.allocator import {name}\n" for name in declared]
    if set(declared) & set(HOOKS):
        lines.append("HOOKS_SWITCHES = True\n")
    if WORK in declared:
        lines.append("WORKERS = True\n")
    return "".join(lines)


@cache
def _facts(allocator: Allocator) -> str:
    """All sources, and the constants and record layouts of the other modules that they import, as text."""
    sources = _sources(allocator)
    facts: list[Any] = sorted((module, text) for module, (text, _) in sources.items())
    imported = {other for text, _ in sources.values() for other in _imports_of(text)}
    for module in sorted(imported - set(sources) - {_MARKS}):
        values = vars(importlib.import_module(module)).items()
        facts += [(name, value) for name, value in values if isinstance(value, (int, np.dtype))]
    return repr(facts)


def _package_name(allocator: Allocator, compiled: bool) -> str:
    facts: list[Any] = [_facts(allocator), sys.version_info[:2], compiled]
    if compiled:
        facts += compiler_facts()
    return f"kmap_{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"


def simulator_sha256(allocator: Allocator) -> str:
    """Hash of the sources of the engine and the allocator, which with its inputs determine a result."""
    return hashlib.sha256(_facts(allocator).encode()).hexdigest()


def _stem(module: str) -> str:
    return module.rpartition(".")[2]


def _rewrite(text: str, package: str, sources: _Sources, compiled: bool) -> str:
    """Change a module's imports to the composed package; line numbers do not change."""

    def rewrite_import(match: re.Match[str]) -> str:
        module, names = match.groups()
        if module == _MARKS and compiled:
            return f"from pipeline.jit.compiled_marks import {names}"
        if module in sources:
            return f"from {package}.{_stem(module)} import {names}"
        if not _is_package(module):
            return match[0]
        lines = []
        for name in (name.strip() for name in names.split(",")):
            lines.append(f"from {package if f'{module}.{name}' in sources else module} import {name}")
        return "; ".join(lines)

    return _IMPORT.sub(rewrite_import, text)


def _rewrite_all(package: str, sources: _Sources, compiled: bool) -> dict[str, str]:
    return {name: _rewrite(text, package, sources, compiled) for name, (text, _) in sources.items()}


def is_compiled_already(allocator: Allocator) -> bool:
    """Whether all functions of this allocator's simulator that a replay calls are in the cache."""
    package = _package_name(allocator, compiled=True)
    return all(is_kept(cache_directory() / package, name) for name in _CALLED_BY_REPLAYS)


@cache
def compose(allocator: Allocator, compiled: bool = True) -> Simulator:
    """Compose the simulator of one allocator; code that Numba cannot compile fails at the first call."""
    sources = _sources(allocator)
    package = _package_name(allocator, compiled)
    if compiled:
        entry: Callable[[str, str], Callable[..., int]] = partial(_compiled_entry, package, sources)
    else:
        _execute_package(package, sources, compiled=False)
        entry = partial(_plain_entry, package)
    return Simulator(compiled, **{name: entry(module, name) for name, module in _ENTRIES.items()})


def _plain_entry(package: str, module: str, name: str) -> Callable[..., int]:
    return on_images(getattr(sys.modules[f"{package}.{module}"], name))


def _compiled_entry(package: str, sources: _Sources, module: str, name: str) -> Callable[..., int]:
    def compile_entry(arguments: list[Any]) -> MachineCode:
        from pipeline.jit.dispatchers import emit  # noqa: PLC0415 - imports Numba

        _execute_package(package, sources, compiled=True)
        return emit(getattr(sys.modules[f"{package}.{module}"], name), arguments)

    return CompiledFunction(lambda: cache_directory() / package, name, compile_entry)


def _execute_package(package: str, sources: _Sources, compiled: bool) -> None:
    with _executing:
        if package not in sys.modules:
            _execute_modules(package, sources, compiled)


def _execute_modules(package: str, sources: _Sources, compiled: bool) -> None:
    texts = _rewrite_all(package, sources, compiled)
    parent = ModuleType(package)
    parent.__path__ = []
    sys.modules[package] = parent

    def execute(name: str) -> None:
        copy = f"{package}.{_stem(name)}"
        if name not in sources or copy in sys.modules:
            return
        text, path = sources[name]
        for other in _imports_of(text):
            execute(other)
        module = ModuleType(copy)
        file = f"{package}/{_stem(name)}.py" if compiled else str(path)
        module.__file__ = file
        sys.modules[copy] = module
        setattr(parent, _stem(name), module)
        exec(compile(texts[name], file, "exec"), module.__dict__)

    try:
        for name in sources:
            execute(name)
    except BaseException:
        for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
            del sys.modules[name]
        raise
