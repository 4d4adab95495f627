"""Where the files shipped beside the code are: queries, reports and traces.

In a wheel they lie in `pipeline/shipped/`; in a checkout, in the top-level folders of the same names.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def shipped_folder(folder: str) -> Path:
    """Directory of shipped files; `folder` is "queries", "reports" or "traces"."""
    package = Path(str(files("pipeline")))
    installed = package / "shipped" / folder
    return installed if installed.is_dir() else package.parent / folder


def shipped_files(folder: str, suffix: str) -> dict[str, Path]:
    """Shipped files by stem, sorted by name; `suffix` with its dot, e.g. ".toml"."""
    return {path.stem: path for path in sorted(shipped_folder(folder).glob(f"*{suffix}"))}


def shipped_recordings() -> dict[str, Path]:
    """The shipped recordings of a kernel's own pool by name."""
    files = shipped_files("traces/pool", ".parquet").values()
    return {file.name.removesuffix(".kmap.parquet"): file for file in files}
