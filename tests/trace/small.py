"""Tiny traces made by hand, whole or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schema.trace import (
    BY_NAME,
    COLUMN_NAMES,
    NAMED_VALUES,
    NULL_VALUES,
    OPTIONAL_NAMES,
    arrow_schema,
)
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

# Task 0 makes mapping 0, which task 1 unmaps, and mapping 1, which remains. Task 1 also has whole rows.
PARTS: dict[str, list[Any]] = {
    "time_ns": [0, 10, 150, 160, 300],
    "task": [0, 1, 1, 0, 1],
    "process": [0, 0, 0, 0, 0],
    "cpu": [0, 1, 1, None, 1],
    "kind": ["vmap", "page_fault", "vmap", "vmap", "page_fault"],
    "page": [4, 0, 4, 8, 1],
    "bytes": [None, 100, None, None, None],
    "think_ns": [0, 0, 90, 60, 100],
    "wait_ns": [0, 0, 0, 0, 0],
    "hold_ns": [100, 50, 0, 9, 5],
    "block_ns": [0, 0, 0, 0, 0],
    "depth": [0, 0, 0, 0, 0],
    "pages": [4, None, 4, 3, 2],
    "part": ["map", None, "unmap", "map", "whole"],
    "mapping": [0, None, 0, 1, None],
}


def writer(path: Path, **options: Any) -> TraceWriter:
    return TraceWriter(path, **{"source": SOURCE, "columns": PROVENANCE, "clock": "none"} | options)


def as_arrays(columns: dict[str, list[Any]]) -> dict[str, np.ndarray | None]:
    """Columns as TraceWriter.write takes them."""
    arrays: dict[str, np.ndarray | None] = {}
    for name, values in columns.items():
        filled = [NULL_VALUES[name] if value is None else value for value in values]
        if name in NAMED_VALUES:
            codes = [NAMED_VALUES[name].index(v) if isinstance(v, str) else v for v in filled]
            arrays[name] = np.array(codes, np.int8)
        else:
            arrays[name] = np.array(filled, BY_NAME[name].type.to_pandas_dtype())
    return arrays


def write_good(path: Path) -> Path:
    with writer(path) as out:
        out.write(as_arrays(GOOD))
    return path


def write_parts(path: Path, columns: dict[str, list[Any]] = PARTS) -> Path:
    with writer(path, columns=PROVENANCE | dict.fromkeys(OPTIONAL_NAMES, "synthetic")) as out:
        out.write(as_arrays(columns))
    return path


def write_damaged(path: Path, **columns: list[Any]) -> Path:
    """A trace whose named columns were changed behind the writer's back; its metadata is that of GOOD."""
    return _damage(write_good(path), GOOD | columns)


def write_damaged_parts(path: Path, **columns: list[Any]) -> Path:
    """The same of PARTS."""
    return _damage(write_parts(path), PARTS | columns)


def _damage(path: Path, columns: dict[str, list[Any]]) -> Path:
    metadata = pq.read_metadata(path).metadata[METADATA_KEY]
    arrays, fields = [], []
    for name, values in columns.items():
        field = arrow_schema([name]).field(0)
        array = pa.array(values, pa.string() if name in NAMED_VALUES else field.type)
        arrays.append(array.dictionary_encode() if name in NAMED_VALUES else array)
        fields.append(pa.field(name, arrays[-1].type))
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields, {METADATA_KEY: metadata})), path)
    return path
