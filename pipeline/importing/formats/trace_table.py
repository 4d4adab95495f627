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
    read_columns,
)
from pipeline.schema.names import KINDS
from pipeline.schema.trace import COLUMN_NAMES, COLUMNS, MAX_DEPTH, MAX_PAGE, MAX_TASKS, MAX_TIME_NS
from pipeline.trace.check import TraceCheck

_NUMBERED = ("task", "process")
_MOST = {"task": MAX_TASKS - 1, "process": MAX_TASKS - 1, "page": MAX_PAGE - 1, "depth": MAX_DEPTH - 1} | {
    name: MAX_TIME_NS - 1 for name in COLUMN_NAMES if name.endswith("_ns")
}


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the table at `path`; `options.threads` puts all tasks into one process.

    Rows are sorted by time, rows of equal time keep their order, integer columns of another width are cast,
    and tasks and processes are numbered densely. Nothing else changes. Raises InputError if a value is out of
    range for its column.
    """
    table = read_columns(path, COLUMN_NAMES, "a table with a trace's columns")
    if table.num_rows == 0:
        raise InputError(f"{path}: expected a table with a trace's columns, found no rows")
    time_ns = integers(table, "time_ns")
    order = np.argsort(time_ns, kind="stable")
    rows: Rows = {}
    notes = ["imported from a table without metadata, so the provenance of its columns is unknown"]
    for column in COLUMNS:
        if column.name == "kind":
            rows["kind"] = _codes(path, table.column("kind"))[order]
            continue
        values = integers(table, column.name, null=-1 if column.nullable else None)
        least = -1 if column.nullable else 0
        most = _MOST.get(column.name, int(np.iinfo(column.type.to_pandas_dtype()).max))
        low, high = int(values.min()), int(values.max())
        if low < least or high > most:
            raise InputError(
                f"{path}: column '{column.name}' contains {low if low < least else high}; expected 0 to "
                f"{most}; correct the table"
            )
        if column.name in _NUMBERED:
            used, numbers = np.unique(values, return_inverse=True)
            if len(used) <= high:
                values = numbers
                notes.append(f"column {column.name} was numbered densely from 0, in the same order")
        rows[column.name] = values[order].astype(column.type.to_pandas_dtype())
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
        columns=dict.fromkeys(COLUMN_NAMES, "assumed"),
        clock="unknown",
        recorder="unknown",
        rows_in=table.num_rows,
        cpus=largest_cpu + 1 if largest_cpu >= 0 else None,
        notes=notes,
    )


def _codes(path: Path, names: pa.ChunkedArray) -> np.ndarray:
    codes = pc.index_in(names.cast(pa.string()), value_set=pa.array(KINDS))
    if codes.null_count:
        row = int(np.flatnonzero(codes.is_null().to_numpy())[0])
        raise InputError(
            f"{path}: row {row:,}: kind is {names[row].as_py()!r}; expected one of {', '.join(KINDS)}; "
            "correct the table"
        )
    return codes.to_numpy().astype(np.int8)


IMPORTER = Importer(
    "trace-table",
    "table with a trace's columns, written by another tool (*.parquet)",
    has_columns(COLUMN_NAMES),
    _read_recording,
)
