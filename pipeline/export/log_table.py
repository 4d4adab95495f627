"""The long form of a run's log, the view `event_log`, as CSV or Parquet, batch by batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.sql.session import Session
from pipeline.sql.views import VIEWS, View

METADATA_KEY = b"pipeline.run"


def write_csv(
    session: Session, window: tuple[int, int] | None, file: IO[bytes], advance: Callable[[int], None]
) -> int:
    """Write the log's rows that reach into `window` (ns) with a line of names; return how many."""
    with pyarrow.csv.CSVWriter(file, _schema()) as writer:
        return _copy(session, window, writer.write_batch, advance)


def write_parquet(
    session: Session,
    window: tuple[int, int] | None,
    path: Path,
    metadata: dict[str, Any],
    advance: Callable[[int], None],
) -> int:
    """Write the same to a Parquet file, each column with its unit and meaning; return how many rows."""
    schema = _schema().with_metadata({METADATA_KEY: json.dumps(metadata, ensure_ascii=False).encode()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        return _copy(session, window, writer.write_batch, advance)


def _copy(
    session: Session,
    window: tuple[int, int] | None,
    write: Callable[[pa.RecordBatch], None],
    advance: Callable[[int], None],
) -> int:
    schema = _schema()
    rows = 0
    at = window[0] if window else 0
    for batch in _batches(session, window):
        write(batch.cast(schema) if batch.schema != schema else batch)
        rows += batch.num_rows
        if batch.num_rows:
            now = max(at, batch.column("time_ns")[-1].as_py())
            advance((now - at) // 1000)
            at = now
    return rows


def _batches(session: Session, window: tuple[int, int] | None) -> Iterator[pa.RecordBatch]:
    inside = (
        f"WHERE time_ns < {window[1]} AND (time_ns + duration_ns > {window[0]} OR time_ns >= {window[0]})"
        if window
        else ""
    )
    columns = ", ".join(
        f"CAST(run AS VARCHAR) AS {c.name}" if c.name == "run" else c.name for c in _view().columns
    )
    return session.batches(f"SELECT {columns} FROM event_log {inside}")


def _view() -> View:
    return VIEWS["event_log"]


def _schema() -> pa.Schema:
    return pa.schema(
        [pa.field(c.name, c.type, metadata={"unit": c.unit, "meaning": c.doc}) for c in _view().columns]
    )
