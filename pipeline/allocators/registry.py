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
    """Designs of this folder by name: the files that define `map_step`."""
    folder = Path(__file__).parent
    return {path.stem: path for path in sorted(folder.glob("*.py")) if _defines_map_step(path)}


def _defines_map_step(path: Path) -> bool:
    return re.search(r"^def map_step\(", path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def pins_tasks(name: str) -> bool:
    """Whether an allocator calls `pin` or `forbid_sleep`, which bind a task to its CPU while it has a map."""
    return not _calls(load_allocator(name).path).isdisjoint(_PINNING)


def forbids_sleep(name: str) -> bool:
    """Whether a shipped or installed allocator calls `forbid_sleep`; False for a name that is neither."""
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
    """Every design that can be named: shipped ones and those of installed packages."""
    installed = {d.name: d.path for d in installed_allocators(shipped_allocators()) if d.path is not None}
    return shipped_allocators() | installed


def load_allocator(name: str) -> Allocator:
    """Load a design by name, or from a path ending in `.py`.

    Raises UsageError for an unknown name, and InputError for a file that is missing, does not import or
    lacks what a design must define.
    """
    if name.endswith(".py"):
        path = readable_file(Path(name), "an allocator's Python file")
        return _load(path.stem, path.resolve())
    shipped = Path(__file__).parent / f"{name}.py"
    if name.isidentifier() and shipped.is_file() and _defines_map_step(shipped):
        # Without reading all the others, and what other packages have.
        return _load(name, shipped)
    allocators = known_allocators()
    if name not in allocators:
        for installed in installed_allocators(shipped_allocators()):
            if installed.name == name:
                raise InputError(f"allocator '{name}' of {installed.package}: {installed.problem}")
        raise unknown_name(
            "allocator", name, allocators, "or give the path of a .py file of your own", (".py",)
        )
    return _load(name, allocators[name])


def resolve_allocator(text: str) -> Allocator:
    """Load a design by name or path, or a `Composite` written as KIND=NAME,...,default=NAME.

    A design that is named more than once is one and the same. Raises what `load_allocator` does, and
    UsageError for an unknown kind, one given twice, a missing default, and two designs of one name.
    """
    if "=" not in text or (text.endswith(".py") and Path(text).is_file()):
        return load_allocator(text)
    names: dict[str, str] = {}
    for word in text.split(","):
        kind, equals, name = (part.strip() for part in word.partition("="))
        if not equals or not kind or not name:
            raise UsageError(f"a mapping of kinds to allocators wants {_FORM}, found '{word}'")
        if kind not in (*KINDS, REST):
            raise unknown_name("kind of operation", kind, (*KINDS, REST))
        if kind in names:
            raise UsageError(f"the allocator of {kind} is given twice in '{text}'; give it once")
        names[kind] = name
    if REST not in names:
        raise UsageError(f"'{text}' says nothing of other kinds; add {REST}=NAME")
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
    # Executed from its text: importing would leave a __pycache__ beside a user's own file.
    sys.modules[module.__name__] = module
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[module.__name__]
        raise InputError(_import_failure(path, error)) from error
    missing = [required for required in _REQUIRED if not hasattr(module, required)]
    if missing:
        raise InputError(
            f"{path}: not an allocator, it defines no {', '.join(missing)}; "
            "see pipeline/allocators/api/contract.py for what a design must define"
        )
    return Allocator(name, path, module)


def _import_failure(path: Path, error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{path}, line {error.lineno}: does not import: {error.msg}; mend the file"
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    where = f", line {lines[-1]}" if lines else ""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{path}{where}: does not import: {said}; mend the file"


def list_allocators() -> str:
    """Every design that can be named, with its summary, as text; last those of installed packages."""
    shipped = [(name, _read_summary(name, path)) for name, path in sorted(shipped_allocators().items())]
    installed = [(d.name, _summarize(d)) for d in installed_allocators(shipped_allocators())]
    return align_columns(shipped + installed)


def _read_summary(name: str, path: Path) -> str:
    """The summary of a shipped design; what the design imports is loaded only if it is no plain text."""
    line = re.search(r'^SUMMARY = (".*")$', path.read_text(encoding="utf-8"), re.MULTILINE)
    return str(ast.literal_eval(line[1])) if line else load_allocator(name).summary


def _summarize(allocator: InstalledAllocator) -> str:
    """What the list says of an installed design: one that is broken must not hide the others."""
    problem = allocator.problem
    if allocator.path is not None:
        try:
            return f"{_load(allocator.name, allocator.path).summary} (from {allocator.package})"
        except InputError as error:
            problem = str(error)
    return f"cannot be used (from {allocator.package}): {problem}"


def describe_allocator(name: str) -> str:
    """Describe one design: summary, source, its module's documentation, and its options, as text."""
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
    """An option's default, and those on machines of other architectures."""
    elsewhere = [f"{str(value).lower()} on {name}" for name, value in option.default_on.items()]
    return ", ".join([str(option.default).lower(), *elsewhere])
