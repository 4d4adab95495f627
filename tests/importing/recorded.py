"""Recordings as text, made by hand, and how to import them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.importing.import_trace import ImportResult, import_trace

SAMPLES = Path(__file__).parent / "samples"


def perf(*events: tuple[float, int, str], name: str = "a b", cpu: int = 1) -> str:
    """Lines of perf script: microseconds, task, event with its fields. Process and task have one number."""
    return "".join(
        f"{name:>16} {task}/{task} [{cpu:03d}] {3119 + time / 1e6:16.9f}: {event}\n"
        for time, task, event in events
    )


def imported(path: Path, text: str | bytes, **options: Any) -> tuple[pl.DataFrame, ImportResult]:
    """Write `text` to a file in the directory `path`, import it; rows and result."""
    source = path / options.pop("file", "r.txt")
    source.write_bytes(text.encode() if isinstance(text, str) else text)
    result = import_trace(source, path / "t.parquet", **options)
    return pl.read_parquet(path / "t.parquet"), result
