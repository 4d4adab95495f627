"""Export of a run's log in long form (the view `event_log`) as CSV or Parquet, in batches."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.export.rows import Window, reaches_into
from pipeline.sql.session import Session
from pipeline.sql.views import VIEWS

METADATA_KEY = b"pipeline.run"

_COLUMNS = VIEWS["event_log"].columns
_SCHEMA = pa.schema([pa.field(c.name, c.type, metadata={"unit": c.unit, "meaning": c.doc}) for c in _COLUMNS])


def read_log(session: Session, window: Window | None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the log that overlap `window`, in time order."""
    # The run's name is a DuckDB enumeration; other programs get it as text.
    columns = ", ".join(f"CAST(run AS VARCHAR) AS {c.name}" if c.name == "run" else c.name for c in _COLUMNS)
    inside = reaches_into(window, "time_ns", "time_ns + duration_ns")
    for batch in session.batches(f"SELECT {columns} FROM event_log WHERE {inside}"):
        yield batch.cast(_SCHEMA)


def write_log(batches: Iterable[pa.RecordBatch], form: str, file: IO[bytes], metadata: dict[str, Any]) -> int:
    """Write rows of the log as `csv` or `parquet` and return their number.

    CSV starts with a line of column names. In Parquet, each column has its unit and meaning as metadata, and
    the footer holds `metadata`.
    """
    if form == "csv":
        writer = pyarrow.csv.CSVWriter(file, _SCHEMA)
    else:
        footer = {METADATA_KEY: json.dumps(metadata, ensure_ascii=False).encode()}
        writer = pq.ParquetWriter(file, _SCHEMA.with_metadata(footer), compression="zstd")
    rows = 0
    with writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows
