"""Locations of the files shipped with the code: queries, reports and traces.

A wheel has them in `pipeline/shipped/`, and a checkout in top-level directories of the same names.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def shipped_folder(folder: str) -> Path:
    """Return a directory of shipped files; `folder` is "queries", "reports" or "traces"."""
    package = Path(str(files("pipeline")))
    installed = package / "shipped" / folder
    return installed if installed.is_dir() else package.parent / folder


def shipped_files(folder: str, suffix: str) -> dict[str, Path]:
    """Return shipped files by stem, sorted by name; `suffix` includes the dot, as in ".toml"."""
    return {path.stem: path for path in sorted(shipped_folder(folder).glob(f"*{suffix}"))}


def shipped_recordings() -> dict[str, Path]:
    """Return the shipped recordings of a kernel's own pool by name."""
    files = shipped_files("traces/pool", ".parquet").values()
    return {file.name.removesuffix(".kmap.parquet"): file for file in files}


def shipped_areas() -> dict[str, Path]:
    """Return the shipped recordings of a kernel's areas of vmalloc by name."""
    files = shipped_files("traces/vmalloc", ".zst").values()
    return {file.name.partition(".")[0]: file for file in files}
