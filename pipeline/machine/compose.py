"""Putting the engine and one allocator together, compiled or as plain Python.

A composed simulator is a small package of its own: copies of the engine's modules and of all that they and
the allocator import and that has something to compile, as its import of `pipeline.jit.marks` shows. The
allocator's file has the place of `engine.allocator`; several that share a run have a router there, see
`pipeline.machine.composite`. The package is named by a hash of everything that decides what the compiled code
does (all sources, record layouts, versions). So Numba's disk cache, which only knows the outermost function's
own file, can never serve code of an older allocator.

Uncompiled, the same sources are executed under their own file names, so that a debugger stops in them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import Composite
from pipeline.allocators.api.traits import FLAGS, HOOKS
from pipeline.jit.plain_tables import on_images
from pipeline.machine.composite.router import router_source
from pipeline.machine.costs import step_record_source

_PROJECT = Path(__file__).parents[2]
_ENGINE = "pipeline.machine.engine"
_TRAITS = "pipeline.allocators.api.traits"
_MARKS = "pipeline.jit.marks"
_ENTRIES = ("simulate", "trace_rows", "jitter", "allocator_call", "lock_schedule")
_IMPORT = re.compile(r"^from (pipeline[\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)

# Source and file of each module of a composed package, by the name of the module that it is a copy of.
_Sources = dict[str, tuple[str, Path]]


@dataclass(frozen=True)
class Simulator:
    """The functions of one composed simulator, see `engine.simulate`, `trace_rows`, `jitter`,
    `allocator_call` and `lock_schedule`."""

    compiled: bool
    run: Callable[..., int]
    finish: Callable[..., None]
    admit: Callable[..., None]
    arrange: Callable[..., int]
    scale_times: Callable[..., None]
    step: Callable[..., int]
    take_turns: Callable[..., int]


def cache_directory() -> Path:
    """Where compiled simulators are kept: $KMAP_PIPELINE_CACHE, else the user's cache directory.

    Falls back to a directory under the system's temporary one if that cannot be written.
    """
    chosen = os.environ.get("KMAP_PIPELINE_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    wanted = Path(chosen) if chosen else home / "kmap-pipeline"
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        probe = wanted / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        wanted = Path(tempfile.gettempdir()) / f"kmap-pipeline-{os.getuid()}"
        wanted.mkdir(parents=True, exist_ok=True)
    return wanted


def _file_of(module: str) -> Path:
    return _PROJECT / f"{module.replace('.', '/')}.py"


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


def _sources(allocator: Allocator) -> _Sources:
    """What the composed package consists of: all that the entries reach and that has something to compile."""
    traits = _file_of(_TRAITS)
    own: _Sources = {
        _TRAITS: (traits.read_text(encoding="utf-8") + _declarations(allocator), traits),
        f"{_ENGINE}.step_record": (step_record_source(), _file_of("pipeline.machine.costs")),
    }
    files = {f"{_ENGINE}.allocator": allocator.path}
    if isinstance(allocator, Composite):
        files = {f"{_ENGINE}.allocator_{k}": one.path for k, one in enumerate(allocator.allocators)}
        router = _file_of("pipeline.machine.composite.router")
        own[f"{_ENGINE}.allocator"] = router_source(allocator), router
    own |= {module: (path.read_text(encoding="utf-8"), path) for module, path in files.items()}
    sources: _Sources = {}
    reached = [f"{_ENGINE}.{name}" for name in _ENTRIES]
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
    """What an allocator declares, to stand after what holds where it does not: see `traits`."""
    names = (*FLAGS, "MIXED_PTES", "is_global", *HOOKS)
    declared = [name for name in names if hasattr(allocator.module, name)]
    lines = [f"from {_ENGINE}.allocator import {name}\n" for name in declared]
    if set(declared) & set(HOOKS):
        lines.append("HOOKS_SWITCHES = True\n")
    return "".join(lines)


def _facts(sources: _Sources) -> list[Any]:
    """All sources, and the constants and record layouts of the other modules that they import."""
    facts: list[Any] = sorted((module, text) for module, (text, _) in sources.items())
    imported = {other for text, _ in sources.values() for other in _imports_of(text)}
    for module in sorted(imported - set(sources) - {_MARKS}):
        values = vars(importlib.import_module(module)).items()
        facts += [(name, value) for name, value in values if isinstance(value, (int, np.dtype))]
    return facts


def _identity(sources: _Sources, compiled: bool) -> str:
    facts = [_facts(sources), sys.version_info[:2], compiled]
    if compiled:
        jit = sorted(_file_of(_MARKS).parent.glob("*.py"))
        facts += [*_compiler_versions(), np.__version__, *(path.read_bytes() for path in jit)]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


@cache
def _compiler_versions() -> list[bytes]:
    """What Numba and llvmlite say of their versions; importing them to ask takes a third of a second."""
    found = [importlib.util.find_spec(name) for name in ("numba", "llvmlite")]
    return [Path(spec.origin).with_name("_version.py").read_bytes() for spec in found if spec and spec.origin]


@cache
def simulator_sha256(allocator: Allocator) -> str:
    """Hash of the engine's and the allocator's sources: of what, with its inputs, determines a result."""
    return hashlib.sha256(repr(_facts(_sources(allocator))).encode()).hexdigest()


def _stem(module: str) -> str:
    return module.rpartition(".")[2]


def _rewrite(text: str, package: str, sources: _Sources, compiled: bool) -> str:
    """Make a module import its fellows from the composed package; line numbers stay as they are."""

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


def is_compiled_already(allocator: Allocator) -> bool:
    """Whether the compiled simulator of this allocator is in the cache."""
    package = f"kmap_{_identity(_sources(allocator), True)}"
    return any((cache_directory() / package / "__pycache__").glob("simulate.run-*.nbc"))


@cache
def compose(allocator: Allocator, compiled: bool = True) -> Simulator:
    """Compose the simulator of one allocator; what Numba cannot compile shows up at the first call."""
    sources = _sources(allocator)
    package = f"kmap_{_identity(sources, compiled)}"
    if package not in sys.modules:
        texts = {name: _rewrite(text, package, sources, compiled) for name, (text, _) in sources.items()}
        if compiled:
            _write_package(package, texts)
        else:
            _execute_package(package, texts, sources)
    simulate, rows, jitter, call, schedule = (
        importlib.import_module(f"{package}.{name}") for name in _ENTRIES
    )
    entries = (
        simulate.run, simulate.finish, rows.admit, rows.arrange, jitter.scale_times, call.step,
        schedule.take_turns,
    )  # fmt: skip
    return Simulator(compiled, *(entries if compiled else map(on_images, entries)))


def _write_package(package: str, texts: dict[str, str]) -> None:
    folder = cache_directory()
    target = folder / package
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            draft = Path(temporary) / package
            draft.mkdir()
            (draft / "__init__.py").write_text(
                '"""A composed simulator; made from the sources it names."""\n'
            )
            for module, text in texts.items():
                (draft / f"{_stem(module)}.py").write_text(text, encoding="utf-8")
            try:
                draft.replace(target)
            except OSError:
                # Another process has made the same package meanwhile: same name, same content.
                if not target.is_dir():
                    raise
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()


def _execute_package(package: str, texts: dict[str, str], sources: _Sources) -> None:
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
        module.__file__ = str(path)
        sys.modules[copy] = module
        setattr(parent, _stem(name), module)
        exec(compile(texts[name], str(path), "exec"), module.__dict__)

    try:
        for name in sources:
            execute(name)
    except BaseException:
        for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
            del sys.modules[name]
        raise
