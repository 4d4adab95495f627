"""Lookup of traces by path, or by the name of a shipped recording."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import unknown_name
from pipeline.io.resources import shipped_files

SUFFIX = ".parquet"


def trace_path(name: str | Path) -> Path:
    """Return the path of a trace given by its path or by the name of a shipped recording.

    Raises UsageError for a name that is neither.
    """
    path = Path(name)
    shipped = shipped_files("traces", SUFFIX)
    if path.suffix == SUFFIX or path.exists():
        return path
    if str(name) in shipped:
        return shipped[str(name)]
    raise unknown_name("trace", str(name), shipped, f"or give the path of a {SUFFIX} trace", (SUFFIX,))
