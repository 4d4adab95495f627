"""Designs of installed packages: the entry points of the group `pipeline.allocators`.

A package declares the module of each of its designs in its pyproject.toml:

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
    """A design that an installed package declares: `path` is its file, or None with a `problem`."""

    name: str
    package: str
    path: Path | None
    problem: str = ""


def installed_allocators(shipped: Container[str]) -> list[InstalledAllocator]:
    """List every entry point of the group by name; one named like a shipped or another design has no path."""
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value))
    packages: dict[str, list[str]] = {}
    for point in points:
        packages.setdefault(point.name, []).append(_package(point))
    allocators = []
    for point in points:
        problem, path = "", None
        if point.name in shipped:
            problem = "a shipped design has this name and takes precedence; rename the design in the package"
        elif len(packages[point.name]) > 1:
            problem = f"{' and '.join(packages[point.name])} each have a design of this name; uninstall one"
        else:
            path, problem = _file_of(point)
        allocators.append(InstalledAllocator(point.name, _package(point), path, problem))
    return allocators


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "a package without metadata"


def _file_of(point: EntryPoint) -> tuple[Path | None, str]:
    """The file that the entry point refers to, or the reason why there is none."""
    mend = "fix or uninstall the package"
    if point.attr or not point.module:
        return None, f"its entry point must be a module as in 'package.module', found '{point.value}'; {mend}"
    try:
        # This imports the parent packages of the module, which can fail in any way.
        spec = importlib.util.find_spec(point.module)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return None, f"its entry point refers to '{point.module}', which is not found: {reason}; {mend}"
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None, f"its entry point refers to '{point.module}', which is not a Python file; {mend}"
    return Path(spec.origin), ""
