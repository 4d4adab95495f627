"""Writing the event log while the simulation runs.

The engine fills buffers of records; a thread turns each full buffer into columns and writes them, while the
engine goes on with the next one. The buffer freed last is filled next, so that it is still in a cache; there
are enough of them to go on while a row group is encoded. Columns are not nullable; each has the encoding that
was quickest for it when measured, none of them lossy.
"""

from __future__ import annotations

import queue
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.io.files import output_error
from pipeline.jit.tables import Tables
from pipeline.schema.run import (
    DICTIONARIES,
    EVENTS_FILE,
    EVENTS_SCHEMA,
    OPERATIONS_FILE,
    OPERATIONS_SCHEMA,
)

# File and schema of each of the engine's log tables.
_TABLES = {"operations": (OPERATIONS_FILE, OPERATIONS_SCHEMA), "events": (EVENTS_FILE, EVENTS_SCHEMA)}
_BUFFERS = 6
_ROW_GROUP_ROWS = 1 << 18
# Columns whose neighbours are near one another: times, numbers in about the order of the trace.
_DELTA = {"op", "asked_ns", "locked_ns", "mapped_ns", "unmap_asked_ns", "done_ns", "time_ns"}
# Columns that grow with the rows: with their least and greatest, a query about one moment or one operation
# leaves out the row groups of all others.
_WITH_STATISTICS = ("op", "asked_ns", "done_ns", "time_ns")
# Columns that are nearly always the same value: compressing them plainly is quickest.
_SPARSE = {
    "map_wait_ns", "unmap_wait_ns", "unmap_hold_ns", "asleep_ns", "pin_wait_ns", "flush_op", "probed",
    "scanned", "local_flushes", "sleeps", "holder", "depth",
}  # fmt: skip


def write_options(schema: pa.Schema) -> dict[str, Any]:
    """Encoding and compression of each column, as ParquetWriter takes them."""
    dictionaries = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    plain = [field.name for field in schema if not pa.types.is_dictionary(field.type)]
    encoding = {
        name: "DELTA_BINARY_PACKED" if name in _DELTA else "PLAIN" if name in _SPARSE else "BYTE_STREAM_SPLIT"
        for name in plain
    }
    compression = {name: "NONE" if name in _DELTA else "LZ4" for name in plain}
    return {
        "use_dictionary": dictionaries,
        "column_encoding": encoding,
        "compression": compression | dict.fromkeys(dictionaries, "LZ4"),
        "write_statistics": [name for name in _WITH_STATISTICS if name in schema.names],
        "store_schema": True,
    }


class TableLog:
    """One table of the log, written by a thread of its own.

    `schema` names the columns, each a field of the records in the buffers.
    """

    def __init__(self, path: Path, schema: pa.Schema, buffer: np.ndarray) -> None:
        self._path = path
        self._schema = schema
        self._free: queue.LifoQueue[np.ndarray] = queue.LifoQueue()
        for _ in range(_BUFFERS - 1):
            # Zeroed by the system when first touched; `zeros_like` would touch all of it at once.
            self._free.put(np.zeros(buffer.shape, buffer.dtype))
        self._dictionaries = {name: pa.array(values) for name, values in DICTIONARIES.items()}
        self._waiting: list[pa.RecordBatch] = []
        self._thread = ThreadPoolExecutor(1, f"log-{path.stem}")
        self._tasks: deque[Future[None]] = deque()

    def exchange(self, buffer: np.ndarray, rows: int) -> np.ndarray:
        """Take a buffer of which `rows` are filled and return an empty one.

        Waits while all others are being written. Raises OutputError when writing has failed.
        """
        self._tasks.append(self._thread.submit(self._write, buffer, rows))
        empty = self._free.get()
        while self._tasks and self._tasks[0].done():
            self._finish_task()
        return empty

    def close(self, buffer: np.ndarray, rows: int) -> None:
        """Write the last rows and finish the file."""
        self._tasks.append(self._thread.submit(self._write, buffer, rows))
        self._tasks.append(self._thread.submit(self._close))
        while self._tasks:
            self._finish_task()

    def abandon(self) -> None:
        """Stop writing; the file is left as it is, for its directory to be removed."""
        self._thread.shutdown(cancel_futures=True)

    def _finish_task(self) -> None:
        try:
            self._tasks.popleft().result()
        except OSError as error:
            raise output_error(self._path, error) from error

    @cached_property
    def _writer(self) -> pq.ParquetWriter:
        return pq.ParquetWriter(self._path, self._schema, **write_options(self._schema))

    def _write(self, buffer: np.ndarray, rows: int) -> None:
        try:
            if rows:
                self._waiting.append(self._columns(buffer[:rows]))
        finally:
            self._free.put(buffer)
        if sum(batch.num_rows for batch in self._waiting) >= _ROW_GROUP_ROWS:
            self._write_row_group()

    def _write_row_group(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        self._waiting.clear()
        self._writer.write_table(table, row_group_size=2 * _ROW_GROUP_ROWS)

    def _close(self) -> None:
        if self._waiting:
            self._write_row_group()
        self._writer.close()

    def _columns(self, rows: np.ndarray) -> pa.RecordBatch:
        arrays = []
        for field in self._schema:
            kind = field.type.index_type if pa.types.is_dictionary(field.type) else field.type
            values = pa.array(np.ascontiguousarray(rows[field.name], kind.to_pandas_dtype()))
            if pa.types.is_dictionary(field.type):
                values = pa.DictionaryArray.from_arrays(values, self._dictionaries[field.name])
            arrays.append(values)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


class EventLog:
    """Both tables of a run's log, fed from the engine's buffers; a context manager."""

    def __init__(self, directory: Path, machine_state: Tables) -> None:
        self._machine_state = machine_state
        self._logs = {
            name: TableLog(directory / file, schema, getattr(machine_state, name))
            for name, (file, schema) in _TABLES.items()
        }

    def exchange(self) -> None:
        """Hand over the buffers that are full and give the engine empty ones."""
        machine = self._machine_state.machine[0]
        for name, log in self._logs.items():
            logged = f"{name}_logged"
            rows = int(machine[logged])
            if rows >= int(machine[f"log_{name}"]):
                self._machine_state.rebind(name, log.exchange(getattr(self._machine_state, name), rows))
                machine[logged] = 0

    def close(self) -> None:
        """Write what is left and finish both files."""
        machine = self._machine_state.machine[0]
        for name, log in self._logs.items():
            log.close(getattr(self._machine_state, name), int(machine[f"{name}_logged"]))

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        for log in self._logs.values():
            log.abandon()
