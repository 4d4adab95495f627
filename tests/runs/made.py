"""Small traces, and replays of them that take a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.io.resources import shipped_files
from pipeline.runs.execute import replay
from pipeline.runs.finished import RunResult
from pipeline.schema.trace import COLUMN_NAMES
from pipeline.trace.reader import open_trace
from pipeline.trace.writer import TraceWriter
from pipeline.workload.generate import generate


def build_trace(directory: Path, operations: int = 5_000) -> Path:
    """The kernel compile of 2002: many hits, some contention."""
    return generated(directory, "kernel_build", operations)


def storm_trace(directory: Path, operations: int = 3_000) -> Path:
    """More tasks within a fault than a small pool has slots: they sleep and take the lock again."""
    return generated(directory, "fault_storm", operations)


def generated(directory: Path, workload: str, operations: int) -> Path:
    path = directory / f"{workload}.parquet"
    if not path.exists():
        generate(workload, path, operations=operations, seed=0)
    return path


def recorded_trace(directory: Path, rows: int = 5_000) -> Path:
    """The first rows of the shipped recording, as a trace of their own."""
    whole = open_trace(shipped_files("traces", ".parquet")["local"])
    path = directory / "recorded.parquet"
    with TraceWriter(
        path, source=whole.metadata.source, columns=whole.metadata.columns, clock=whole.metadata.clock
    ) as out:
        batch = next(whole.batches(rows=rows))
        columns: dict[str, Any] = {name: batch.column(name) for name in COLUMN_NAMES}
        columns["kind"] = columns["kind"].indices
        absent = [name for name, provenance in whole.metadata.columns.items() if provenance == "absent"]
        out.write({n: None if n in absent else c.to_numpy() for n, c in columns.items()})
    return path


def replayed(trace: Path, output: Path, allocator: str = "global_pool", **changes: Any) -> RunResult:
    """A replay on the 16-way NUMA-Q with 4 CPUs, where `changes` does not say otherwise."""
    settings: dict[str, Any] = {"allocator": allocator, "machine": "numaq16", "cpus": 4, "output": output}
    return replay(trace, **settings | changes)


def contents(directory: Path) -> list[str]:
    """Names of everything in a directory, hidden or not."""
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def rows_of(run: RunResult, file: str) -> int:
    return pq.read_metadata(run.path / file).num_rows
