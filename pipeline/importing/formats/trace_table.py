"""A Parquet file with a trace's columns but without its metadata, as written by DuckDB or Polars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError
from pipeline.importing.importer import (
    ImportedRows,
    Importer,
    ReadOptions,
    Rows,
    has_columns,
    integers,
    read_column_names,
    read_columns,
)
from pipeline.schema.trace import (
    COLUMN_NAMES,
    NAMED_VALUES,
    NULL_VALUES,
    OPTIONAL_NAMES,
    RANGES,
    numpy_type,
)
from pipeline.trace.check import TraceCheck

_NUMBERED = ("task", "process")


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the table at `path`; `options.threads` puts all tasks into one process.

    Rows are sorted by time, rows of equal time keep their order, integer columns of another width are cast,
    and tasks and processes are numbered densely. Nothing else changes. Raises InputError if a value is out of
    range for its column.
    """
    there = read_column_names(path)
    names = (*COLUMN_NAMES, *(name for name in OPTIONAL_NAMES if name in there))
    table = read_columns(path, names, "a table with a trace's columns")
    if table.num_rows == 0:
        raise InputError(f"{path}: expected a table with a trace's columns, found no rows")
    time_ns = integers(table, "time_ns")
    order = np.argsort(time_ns, kind="stable")
    rows: Rows = {}
    notes = ["imported from a table without metadata, so the provenance of its columns is unknown"]
    for name in names:
        if name in NAMED_VALUES:
            rows[name] = _codes(path, name, table.column(name))[order]
            continue
        null = NULL_VALUES.get(name)
        values = integers(table, name, null)
        least, most = RANGES.get(name, (0, int(np.iinfo(numpy_type(name)).max)))
        low, high = int(values.min()), int(values.max())
        if (low < least and low != null) or high > most:
            raise InputError(
                f"{path}: column '{name}' contains {low if low < least else high}; expected "
                f"{max(least, 0)} to {most}; correct the table"
            )
        if name in _NUMBERED:
            used, numbers = np.unique(values, return_inverse=True)
            if len(used) <= high:
                values = numbers
                notes.append(f"column {name} was numbered densely from 0, in the same order")
        rows[name] = values[order].astype(numpy_type(name))
    if options.threads:
        rows["process"] = np.zeros(len(order), np.int32)
    check = TraceCheck()
    check.add_columns(rows)
    if wrong := next((problem for problem in check.problems() if problem.severity == "error"), None):
        raise InputError(f"{path}: {wrong.model_copy(update={'advice': 'correct the table'}).text()}")
    largest_cpu = int(rows["cpu"].max())
    moved = int(np.sum(order != np.arange(len(order))))
    if moved:
        notes.append(f"{moved:,} rows were not in time order and were moved")
    return ImportedRows(
        rows=rows,
        columns=dict.fromkeys(names, "assumed"),
        clock="unknown",
        recorder="unknown",
        rows_in=table.num_rows,
        cpus=largest_cpu + 1 if largest_cpu >= 0 else None,
        notes=notes,
    )


def _codes(path: Path, name: str, texts: pa.ChunkedArray) -> np.ndarray:
    known = NAMED_VALUES[name]
    texts = texts.cast(pa.string())
    if name in NULL_VALUES:
        texts = texts.fill_null(known[NULL_VALUES[name]])
    codes = pc.index_in(texts, value_set=pa.array(known))
    if codes.null_count:
        row = int(np.flatnonzero(codes.is_null().to_numpy())[0])
        raise InputError(
            f"{path}: row {row:,}: {name} is {texts[row].as_py()!r}; expected one of {', '.join(known)}; "
            "correct the table"
        )
    return codes.to_numpy().astype(np.int8)


IMPORTER = Importer(
    "trace-table",
    "table with a trace's columns, written by another tool (*.parquet)",
    has_columns(COLUMN_NAMES),
    _read_recording,
)
