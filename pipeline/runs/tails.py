"""99th percentiles of a run with a log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schema.manifest import SUMS_FOLDER, Manifest

SHARE = 0.99
# Reading more rows would take too long for a summary in the terminal.
_MOST_OPERATIONS = 4_000_000


def map_tail_ns(manifest: Manifest, directory: Path) -> int | None:
    """Return the 99th percentile from request to mapped, ns; None without a log or for a very long one."""
    if manifest.events == "none" or not 0 < manifest.totals.operations <= _MOST_OPERATIONS:
        return None
    parts = []
    for table, files in manifest.log_files.items():
        if table not in ("operations", "wide_operations"):
            continue
        for file in files:
            names = set(pq.read_schema(directory / file).names)
            if "delta_mapped_ns" in names:
                parts.append(_column(directory / file, "delta_mapped_ns"))
            else:
                parts.append(_column(directory / file, "mapped_ns") - _column(directory / file, "asked_ns"))
    values = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    if not len(values):
        return None
    rank = int(np.ceil(SHARE * len(values))) - 1
    return int(np.partition(values, rank)[rank])


def lock_tail_ns(directory: Path, name: str) -> int | None:
    """Return the 99th percentile of `hold_histogram` or `wait_histogram` in a run's sums, ns.

    None for a run without that histogram.
    """
    file = directory / SUMS_FOLDER / f"{name}.parquet"
    if not file.is_file():
        return None
    values, counts = _column(file, "value"), _column(file, "n")
    if not len(values):
        return None
    order = np.argsort(values)
    reached = np.cumsum(counts[order])
    return int(values[order][np.searchsorted(reached, SHARE * reached[-1])])


def _column(file: Path, name: str) -> np.ndarray:
    try:
        # `read_table` would load the modules of queries.
        with pq.ParquetFile(file) as table:
            column = table.read(columns=[name]).column(0)
    except (OSError, pa.ArrowException):
        return np.zeros(0, np.int64)
    return column.to_numpy()
