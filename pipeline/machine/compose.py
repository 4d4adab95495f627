"""Putting the engine and one design together, compiled or as plain Python.

A composed simulator is a small package of its own: copies of the modules of `pipeline.machine.engine`
that are compiled, with the allocator's file in place of `allocator`, importing one another. It is named by a
hash of everything that decides what the compiled code does (all sources, record layouts, versions). So
Numba's disk cache, which only knows the outermost function's own file, can never serve code of an older
allocator.

Several allocators that share a run have a router in the place of `allocator`, see
`pipeline.machine.composite`.

Uncompiled, the same sources are executed under their own file names, so that a debugger stops in them.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from pipeline.allocators.api import actions
from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import Composite
from pipeline.jit import marks
from pipeline.jit.plain_tables import on_images
from pipeline.machine.composite import router
from pipeline.machine.engine import records

_ENGINE = Path(records.__file__).parent
_PACKAGE = "pipeline.machine.engine"
_COMPONENTS = "pipeline.allocators.components"
_COMPONENTS_FOLDER = Path(actions.__file__).parents[1] / "components"
_JIT = Path(marks.__file__).parent
_COMPOSITE = Path(router.__file__).parent
_TRAITS = ("NON_GLOBAL", "TRACKS_SWITCHES", "ATOMICS", "MIXED_PTES", "is_global", "switch_out", "switch_in")
# Modules of the engine that are shared by all simulators: they hold nothing to compile.
_SHARED = {"__init__", "records"}
# What a composed package has copies of: the engine, the components, and single modules of other packages.
_COPIED = re.compile(
    r"^from pipeline\.(?:machine\.engine(?!\.records)|allocators\.components"
    r"|jit(?=\.marks| import marks)|allocators\.api(?=\.actions| import actions))(\.| import )",
    re.MULTILINE,
)
_OF_COMPONENTS = re.compile(rf"^from {re.escape(_COMPONENTS)}\.(\w+) import ", re.MULTILINE)


@dataclass(frozen=True)
class Simulator:
    """The functions of one composed simulator, see `engine.simulate`, `trace_rows`, `allocator_call` and
    `lock_schedule`."""

    compiled: bool
    run: Callable[..., int]
    finish: Callable[..., None]
    admit: Callable[..., None]
    arrange: Callable[..., int]
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


def _sources(allocator: Allocator, compiled: bool) -> dict[str, tuple[str, Path]]:
    """Source and file of each module of the composed package, by its name there."""
    paths: dict[str, Path] = {}
    for folder in (_ENGINE, _COMPONENTS_FOLDER):
        paths |= {p.stem: p for p in sorted(folder.glob("*.py")) if p.stem not in _SHARED}
    paths["actions"] = Path(actions.__file__)
    paths["marks"] = _JIT / ("compiled_marks.py" if compiled else "marks.py")
    if isinstance(allocator, Composite):
        paths |= {f"allocator_{k}": part.path for k, part in enumerate(allocator.allocators)}
        paths["composite_view"] = _COMPOSITE / "view.py"
        paths["views"] = _JIT / f"{'compiled' if compiled else 'plain'}_views.py"
    else:
        paths["allocator"] = allocator.path
    sources = {name: (path.read_text(encoding="utf-8"), path) for name, path in paths.items()}
    if isinstance(allocator, Composite):
        sources["allocator"] = (router.router_source(allocator), Path(router.__file__))
    text, path = sources["traits"]
    sources["traits"] = (text + _declarations(allocator), path)
    return {name: sources[name] for name in _reached(sources)}


def _reached(sources: dict[str, tuple[str, Path]]) -> list[str]:
    """The modules of the simulator, and of the shared parts of designs those that this design is made of."""
    reached = [name for name, (_, path) in sources.items() if path.parent.name != "components"]
    for name in reached:
        reached += [part for part in _OF_COMPONENTS.findall(sources[name][0]) if part not in reached]
    return reached


def _declarations(allocator: Allocator) -> str:
    """What a design declares, to stand after what holds where it does not: see `simulator.traits`."""
    declared = [name for name in _TRAITS if hasattr(allocator.module, name)]
    lines = [f"from {_PACKAGE}.allocator import {name}\n" for name in declared]
    if set(declared) & {"switch_out", "switch_in"}:
        lines.append("HOOKS_SWITCHES = True\n")
    return "".join(lines)


def _identity(sources: dict[str, tuple[str, Path]], compiled: bool) -> str:
    digest = hashlib.sha256()
    for name, (text, _) in sorted(sources.items()):
        digest.update(f"{name}\0{text}\0".encode())
    for path in (Path(records.__file__), *sorted(_JIT.glob("*.py"))):
        digest.update(path.read_bytes())
    digest.update(repr([records.REQUEST, sys.version_info[:2], compiled]).encode())
    if compiled:
        import numba  # noqa: PLC0415 - half a second that plain runs need not pay
        import numpy as np  # noqa: PLC0415

        digest.update(f"{numba.__version__} {np.__version__}".encode())
    return digest.hexdigest()[:16]


def simulator_sha256(allocator: Allocator) -> str:
    """Hash of the engine's and the design's sources: of what, with its inputs, determines a result."""
    digest = hashlib.sha256(Path(records.__file__).read_bytes())
    for name, (text, _) in sorted(_sources(allocator, compiled=False).items()):
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()


def _rewritten(text: str, package: str) -> str:
    """Make a module import its fellows from the composed package; line numbers stay as they are."""
    return _COPIED.sub(rf"from {package}\1", text)


def is_compiled_already(allocator: Allocator) -> bool:
    """Whether the compiled simulator of this design is in the cache."""
    package = f"kmap_{_identity(_sources(allocator, True), True)}"
    return any((cache_directory() / package / "__pycache__").glob("simulate.run-*.nbc"))


@cache
def compose(allocator: Allocator, compiled: bool = True) -> Simulator:
    """Compose the simulator of one design.

    Raises InputError, naming file and line, when the design's source cannot be composed; what Numba cannot
    compile shows up at the first call.
    """
    sources = _sources(allocator, compiled)
    package = f"kmap_{_identity(sources, compiled)}"
    if package not in sys.modules:
        if compiled:
            _write_package(package, sources)
        else:
            _execute_package(package, sources)
    simulate, rows, call, schedule = (
        importlib.import_module(f"{package}.{name}")
        for name in ("simulate", "trace_rows", "allocator_call", "lock_schedule")
    )
    entries = (simulate.run, simulate.finish, rows.admit, rows.arrange, call.step, schedule.take_turns)
    return Simulator(compiled, *(entries if compiled else map(on_images, entries)))


def _write_package(package: str, sources: dict[str, tuple[str, Path]]) -> None:
    folder = cache_directory()
    target = folder / package
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            draft = Path(temporary) / package
            draft.mkdir()
            (draft / "__init__.py").write_text(
                '"""A composed simulator; made from the sources it names."""\n'
            )
            for name, (text, _) in sources.items():
                (draft / f"{name}.py").write_text(_rewritten(text, package), encoding="utf-8")
            try:
                draft.replace(target)
            except OSError:
                # Another process has made the same package meanwhile: same name, same content.
                if not target.is_dir():
                    raise
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()


def _execute_package(package: str, sources: dict[str, tuple[str, Path]]) -> None:
    parent = ModuleType(package)
    parent.__path__ = []
    sys.modules[package] = parent
    done: set[str] = set()

    def execute(name: str) -> None:
        if name in done:
            return
        done.add(name)
        text, path = sources[name]
        rewritten = _rewritten(text, package)
        for fellow in _fellows(rewritten, package):
            execute(fellow)
        module = ModuleType(f"{package}.{name}")
        module.__file__ = str(path)
        sys.modules[module.__name__] = module
        setattr(parent, name, module)
        exec(compile(rewritten, str(path), "exec"), module.__dict__)

    try:
        for name in sources:
            execute(name)
    except BaseException:
        for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
            del sys.modules[name]
        raise


def _fellows(text: str, package: str) -> list[str]:
    """Modules of the package that a module imports."""
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package + "."):
            names.append((node.module or "").removeprefix(package + "."))
    return names
