"""Tiny traces made by hand, whole or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schema.names import KINDS
from pipeline.schema.trace import ARROW_SCHEMA, COLUMN_NAMES
from pipeline.schema.trace_metadata import METADATA_KEY, Source
from pipeline.trace.writer import TraceWriter

SOURCE = Source(type="synthetic", name="small")
PROVENANCE = dict.fromkeys(COLUMN_NAMES, "synthetic")

# Task 0 maps, with one operation nested; task 1 maps twice; all in one process.
GOOD: dict[str, list[Any]] = {
    "time_ns": [0, 10, 40, 200, 300],
    "task": [0, 1, 0, 0, 1],
    "process": [0, 0, 0, 0, 0],
    "cpu": [0, 1, 0, None, 1],
    "kind": ["copy_to_user", "page_fault", "page_fault", "copy_from_user", "other"],
    "page": [7, 3, 2, 7, 3],
    "bytes": [4096, None, None, 100, None],
    "think_ns": [0, 0, 40, 30, 80],
    "wait_ns": [0, 0, 0, 70, 150],
    "hold_ns": [100, 50, 20, 9, 5],
    "block_ns": [0, 0, 0, 0, 0],
    "depth": [0, 0, 1, 0, 0],
}


def writer(path: Path, **options: Any) -> TraceWriter:
    return TraceWriter(path, **{"source": SOURCE, "columns": PROVENANCE, "clock": "none"} | options)


def as_arrays(columns: dict[str, list[Any]]) -> dict[str, np.ndarray | None]:
    """Columns as TraceWriter.write takes them."""
    arrays: dict[str, np.ndarray | None] = {}
    for name, values in columns.items():
        if name == "kind":
            arrays[name] = np.array([KINDS.index(kind) for kind in values], np.int8)
        else:
            filled = [-1 if value is None else value for value in values]
            arrays[name] = np.array(filled, ARROW_SCHEMA.field(name).type.to_pandas_dtype())
    return arrays


def write_good(path: Path) -> Path:
    with writer(path) as out:
        out.write(as_arrays(GOOD))
    return path


def write_damaged(path: Path, **columns: list[Any]) -> Path:
    """A trace whose named columns were changed behind the writer's back; its metadata is that of GOOD."""
    metadata = pq.read_metadata(write_good(path)).metadata[METADATA_KEY]
    schema = pa.schema([field.with_nullable(True) for field in ARROW_SCHEMA], {METADATA_KEY: metadata})
    fields = dict(GOOD) | columns
    arrays = [
        pa.array(fields[f.name]).dictionary_encode() if f.name == "kind" else pa.array(fields[f.name], f.type)
        for f in schema
    ]
    kind = schema.get_field_index("kind")
    schema = schema.set(kind, pa.field("kind", arrays[kind].type))
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path)
    return path
