"""Shell completion of the names of designs, machines, workloads, recordings, queries and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.io.resources import shipped_files


def _designs() -> list[str]:
    from pipeline.allocators.registry import known_allocators

    return list(known_allocators())


def _machines() -> list[str]:
    folder = Path(__file__).parents[1] / "machine" / "profiles"
    return sorted(path.stem for path in folder.glob("*.toml"))


def _traces() -> list[str]:
    return [*shipped_files("traces", ".parquet"), *_workloads()]


def _workloads() -> list[str]:
    return list(shipped_files("traces", ".toml"))


def _queries() -> list[str]:
    return list(shipped_files("queries", ".sql"))


def _runs() -> list[str]:
    return [str(path.parent) for path in sorted(Path().glob("runs/[!.]*/manifest.json"))]


# By the name of an option, or by the metavar of an argument.
_NAMES = {
    "--allocator": _designs, "ALLOCATOR": _designs, "--machine": _machines, "--base": _machines,
    "MACHINE": _machines, "TRACE": _traces, "WORKLOAD": _workloads, "--name": _queries, "QUERY": _queries,
    "--runs": _runs, "RUN": _runs,
}  # fmt: skip
_FILES = {
    "--allocator": (".py",), "--machine": (".toml",), "--base": (".toml",), "TRACE": (".parquet", ".toml"),
    "WORKLOAD": (".toml",),
}  # fmt: skip


def complete(param: Any, incomplete: str) -> list[str]:
    """Return the names and files that a parameter accepts and that start with `incomplete`."""
    key = next((opt for opt in param.opts if opt in _NAMES), param.metavar)
    if key not in _NAMES:
        return []
    files = [str(path) for ending in _FILES.get(key, ()) for path in sorted(Path().glob(f"*{ending}"))]
    return [name for name in (*_NAMES[key](), *files) if name.startswith(incomplete)]
