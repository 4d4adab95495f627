"""Designs of installed packages: the entry points of the group `pipeline.allocators`.

A package names the module of each of its designs, in its pyproject.toml:

    [project.entry-points."pipeline.allocators"]
    my_pool = "my_package.my_pool"
"""

from __future__ import annotations

import importlib.util
from collections.abc import Container
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

ENTRY_POINTS = "pipeline.allocators"


@dataclass(frozen=True)
class InstalledAllocator:
    """A design that an installed package names; `path` is its file, or None and `problem` says why."""

    name: str
    package: str
    path: Path | None
    problem: str = ""


def installed_allocators(shipped: Container[str]) -> list[InstalledAllocator]:
    """Every entry point of the group, by name. None has a file whose name is `shipped` or another's too."""
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value))
    packages: dict[str, list[str]] = {}
    for point in points:
        packages.setdefault(point.name, []).append(_package(point))
    allocators = []
    for point in points:
        problem, path = "", None
        if point.name in shipped:
            problem = (
                "a shipped design has this name, and that one is used; the package must name it otherwise"
            )
        elif len(packages[point.name]) > 1:
            problem = f"{' and '.join(packages[point.name])} each have a design of this name; uninstall one"
        else:
            path, problem = _file_of(point)
        allocators.append(InstalledAllocator(point.name, _package(point), path, problem))
    return allocators


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "a package without metadata"


def _file_of(point: EntryPoint) -> tuple[Path | None, str]:
    """The file that the entry point names, or why there is none."""
    mend = "mend or uninstall the package"
    if point.attr or not point.module:
        return None, f"its entry point wants a module as in 'package.module', found '{point.value}'; {mend}"
    try:
        # Imports the packages around the module, which may fail in any way.
        spec = importlib.util.find_spec(point.module)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return None, f"its entry point names '{point.module}', which is not found: {reason}; {mend}"
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None, f"its entry point names '{point.module}', found no such Python file; {mend}"
    return Path(spec.origin), ""
