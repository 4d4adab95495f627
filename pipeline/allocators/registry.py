"""Finding designs: the files of this folder, installed plug-ins, and a user's own file by path."""

from __future__ import annotations

import ast
import re
import sys
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import combine
from pipeline.allocators.api.contract import Option
from pipeline.allocators.installed import InstalledAllocator, installed_allocators
from pipeline.errors import InputError, UsageError, unknown_name
from pipeline.io.files import readable_file
from pipeline.io.tables import align_columns
from pipeline.schema.names import KINDS

REST = "default"
_FORM = f"KIND=NAME,...,{REST}=NAME"
_REQUIRED = ("SUMMARY", "map_step", "unmap_step")
_FORBIDDING = "forbid_sleep"
_PINNING = ("pin", _FORBIDDING)


@cache
def shipped_allocators() -> dict[str, Path]:
    """Paths of the shipped designs by name: the files of this folder that define `map_step`."""
    folder = Path(__file__).parent
    return {path.stem: path for path in sorted(folder.glob("*.py")) if _defines_map_step(path)}


@cache
def kmap_allocators() -> tuple[str, ...]:
    """Names of the shipped designs for single pages; the others are for areas of several pages."""
    return tuple(name for name in shipped_allocators() if not load_allocator(name).maps_areas)


def _defines_map_step(path: Path) -> bool:
    return re.search(r"^def map_step\(", path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def pins_tasks(name: str) -> bool:
    """Whether an allocator calls `pin` or `forbid_sleep`, which bind a task to a CPU while it maps."""
    return not _calls(load_allocator(name).path).isdisjoint(_PINNING)


def forbids_sleep(name: str) -> bool:
    """Whether a shipped or installed allocator calls `forbid_sleep`; False for any other name."""
    path = known_allocators().get(name)
    return path is not None and _FORBIDDING in _calls(path)


def _calls(path: Path) -> set[str]:
    """Names of the functions that a file calls."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def known_allocators() -> dict[str, Path]:
    """Paths of all designs available by name: shipped ones and those of installed packages."""
    installed = {d.name: d.path for d in installed_allocators(shipped_allocators()) if d.path is not None}
    return shipped_allocators() | installed


def load_allocator(name: str) -> Allocator:
    """Load a design by name, or from a path ending in `.py`.

    Raises UsageError for an unknown name, and InputError for a file that is missing, cannot be imported or
    lacks a required name.
    """
    if name.endswith(".py"):
        path = readable_file(Path(name), "an allocator's Python file")
        return _load(path.stem, path.resolve())
    shipped = Path(__file__).parent / f"{name}.py"
    if name.isidentifier() and shipped.is_file() and _defines_map_step(shipped):
        # This reads neither the other designs nor the installed packages.
        return _load(name, shipped)
    allocators = known_allocators()
    if name not in allocators:
        for installed in installed_allocators(shipped_allocators()):
            if installed.name == name:
                raise InputError(f"allocator '{name}' of {installed.package}: {installed.problem}")
        raise unknown_name("allocator", name, allocators, "or give the path of your own .py file", (".py",))
    return _load(name, allocators[name])


def resolve_allocator(text: str) -> Allocator:
    """Load a design by name or path, or a `Composite` written as KIND=NAME,...,default=NAME.

    A design that is named more than once is loaded once. Raises the errors of `load_allocator`, and
    UsageError for an unknown kind, a kind given twice, a missing default, and two designs of the same name.
    """
    if "=" not in text or (text.endswith(".py") and Path(text).is_file()):
        return load_allocator(text)
    names: dict[str, str] = {}
    for word in text.split(","):
        kind, equals, name = (part.strip() for part in word.partition("="))
        if not equals or not kind or not name:
            raise UsageError(f"a mapping of kinds to allocators must have the form {_FORM}, found '{word}'")
        if kind not in (*KINDS, REST):
            raise unknown_name("kind of operation", kind, (*KINDS, REST))
        if kind in names:
            raise UsageError(f"the allocator for {kind} is given twice in '{text}'; give it once")
        names[kind] = name
    if REST not in names:
        raise UsageError(f"'{text}' gives no allocator for the other kinds; add {REST}=NAME")
    loaded = {name: load_allocator(name) for name in names.values()}
    by_path = {allocator.path: allocator for allocator in reversed(loaded.values())}
    of_kind = {kind: by_path[loaded[names.get(kind, names[REST])].path] for kind in KINDS}
    rest = by_path[loaded[names[REST]].path]
    allocators = tuple(dict.fromkeys([rest, *of_kind.values()]))
    if len(allocators) == 1:
        return rest
    kinds = tuple(tuple(kind for kind in KINDS if of_kind[kind] == allocator) for allocator in allocators)
    return combine(allocators, kinds)


def _load(name: str, path: Path) -> Allocator:
    module = ModuleType(f"pipeline_design_{name}")
    module.__file__ = str(path)
    # Execute the text: an import would leave a __pycache__ next to the user's file.
    sys.modules[module.__name__] = module
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[module.__name__]
        raise InputError(_import_failure(path, error)) from error
    missing = [required for required in _REQUIRED if not hasattr(module, required)]
    if missing:
        raise InputError(
            f"{path}: not an allocator: it does not define {', '.join(missing)}; "
            "see pipeline/allocators/api/contract.py for the names that a design must define"
        )
    return Allocator(name, path, module)


def _import_failure(path: Path, error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{path}, line {error.lineno}: cannot be imported: {error.msg}; fix the file"
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    where = f", line {lines[-1]}" if lines else ""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{path}{where}: cannot be imported: {said}; fix the file"


def list_allocators() -> str:
    """List every available design with its summary, as text: shipped, installed, and those for areas."""
    shipped = {name: _read_summary(name, path) for name, path in shipped_allocators().items()}
    pages = kmap_allocators()
    rows = [(name, shipped.pop(name)) for name in pages]
    rows += [(d.name, _summarize(d)) for d in installed_allocators(shipped_allocators())]
    lines = align_columns([*rows, *shipped.items()]).splitlines(keepends=True)
    lines.insert(len(rows), "designs for areas of several pages, which other tasks may unmap (vmap):\n")
    return "".join(lines)


def _read_summary(name: str, path: Path) -> str:
    """The summary of a shipped design; the design is imported only if its SUMMARY is not a plain string."""
    line = re.search(r'^SUMMARY = (".*")$', path.read_text(encoding="utf-8"), re.MULTILINE)
    return str(ast.literal_eval(line[1])) if line else load_allocator(name).summary


def _summarize(allocator: InstalledAllocator) -> str:
    """The list entry of an installed design; a broken design must not hide the others."""
    problem = allocator.problem
    if allocator.path is not None:
        try:
            return f"{_load(allocator.name, allocator.path).summary} (from {allocator.package})"
        except InputError as error:
            problem = str(error)
    return f"cannot be used (from {allocator.package}): {problem}"


def describe_allocator(name: str) -> str:
    """Describe one design as text: its summary, source, module documentation and options."""
    allocator = load_allocator(name)
    lines = [
        f"{allocator.name}: {allocator.summary}",
        f"source: {allocator.source}",
        "",
        (allocator.module.__doc__ or "").strip(),
    ]
    if allocator.options:
        rows = [(f"  {o.name}", _defaults(o), o.describe_allowed(), o.help) for o in allocator.options]
        lines += ["", "options (--set NAME=VALUE), default, allowed:", align_columns(rows).rstrip("\n")]
    return "\n".join(lines) + "\n"


def _defaults(option: Option) -> str:
    """An option's default, and its defaults on machines of other architectures."""
    elsewhere = [f"{str(value).lower()} on {name}" for name, value in option.default_on.items()]
    return ", ".join([str(option.default).lower(), *elsewhere])
