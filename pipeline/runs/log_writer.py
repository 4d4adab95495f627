"""Writing the event log while the simulation runs.

The engine fills buffers of records. A thread converts each full buffer to columns and writes them, while the
engine fills the next one. The buffer freed last is filled next, as it is still cached. There are enough
buffers to continue while a row group is encoded. `pipeline.schema.log` defines how each column is stored.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.io.files import output_error
from pipeline.jit.tables import Tables
from pipeline.runs.log_columns import ColumnBuffers, as_they_are
from pipeline.runs.sums import RunSums
from pipeline.schema.log import LOG_TABLES, LogTable

_BUFFERS = 6
_ROW_GROUP_ROWS = 1 << 17
# Parquet keeps metadata of each row group in memory until a file is closed, so the size of files is bounded.
_FILE_ROWS = 1 << 25


def write_options(table: LogTable) -> dict[str, Any]:
    """Return encoding and compression of each column as arguments of ParquetWriter."""
    stored = {column.stored_name: column.stored for column in table.columns}
    dictionaries = [name for name, how in stored.items() if pa.types.is_dictionary(how.type)]
    return {
        "use_dictionary": dictionaries,
        "column_encoding": {name: how.encoding for name, how in stored.items() if name not in dictionaries},
        "compression": {name: how.compression for name, how in stored.items()},
        "write_statistics": [name for name, how in stored.items() if how.statistics],
        "store_schema": True,
        "write_batch_size": _ROW_GROUP_ROWS,
    }


class _Files:
    """The files of a table, or of its rows that need more bits. A new file begins when one is long enough."""

    def __init__(self, directory: Path, name: str, schema: pa.Schema, options: dict[str, Any]) -> None:
        self.names: list[str] = []
        self._directory = directory
        self._name = name
        self._schema = schema
        self._options = options
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a row group."""
        if self._writer is None:
            self.names.append(f"{self._name}{f'-{len(self.names) + 1}' if self.names else ''}.parquet")
            self._writer = pq.ParquetWriter(self._directory / self.names[-1], self._schema, **self._options)
        self._writer.write_batch(batch, row_group_size=max(batch.num_rows, 1))
        self._rows += batch.num_rows
        if self._rows >= _FILE_ROWS:
            self.close()

    def close(self) -> None:
        """Finish the file that is being written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._rows = 0


def _nothing(_: np.ndarray) -> None:
    pass


class TableLog:
    """One table of the log, written by its own thread from buffers like `buffer`.

    The thread also passes each buffer to `add_up`.
    """

    def __init__(
        self,
        directory: Path,
        table: LogTable,
        buffer: np.ndarray,
        add_up: Callable[[np.ndarray], None] = _nothing,
    ) -> None:
        self._directory = directory
        self._table = table
        self._add_up = add_up
        self._free: queue.LifoQueue[np.ndarray] = queue.LifoQueue()
        for _ in range(_BUFFERS - 1):
            # The system zeroes these pages when first touched; `zeros_like` would touch all of them now.
            self._free.put(np.zeros(buffer.shape, buffer.dtype))
        self._columns = ColumnBuffers(table, buffer.dtype, _ROW_GROUP_ROWS + len(buffer))
        self._wide: list[np.ndarray] = []
        self._files = _Files(directory, table.name, table.stored_schema, write_options(table))
        self._wide_files = _Files(directory, f"wide_{table.name}", table.schema, {"compression": "LZ4"})
        self._thread = ThreadPoolExecutor(1, f"log-{table.name}")
        self._tasks: deque[Future[None]] = deque()

    @property
    def files(self) -> dict[str, list[str]]:
        """Names of the written files by content; valid for a closed log."""
        wide = self._wide_files.names
        return {self._table.name: self._files.names} | ({f"wide_{self._table.name}": wide} if wide else {})

    def exchange(self, buffer: np.ndarray, rows: int) -> np.ndarray:
        """Take a buffer with `rows` filled rows and return an empty one.

        Waits while all other buffers are being written. Raises OutputError if writing has failed.
        """
        self._tasks.append(self._thread.submit(self._write, buffer, rows))
        empty = self._free.get()
        while self._tasks and self._tasks[0].done():
            self._finish_task()
        return empty

    def close(self, buffer: np.ndarray, rows: int) -> None:
        """Write the last rows and finish the files."""
        self._tasks.append(self._thread.submit(self._write, buffer, rows))
        self._tasks.append(self._thread.submit(self._close))
        while self._tasks:
            self._finish_task()

    def abandon(self) -> None:
        """Stop writing and leave the file incomplete; the caller removes its directory."""
        self._thread.shutdown(cancel_futures=True)

    def _finish_task(self) -> None:
        try:
            self._tasks.popleft().result()
        except OSError as error:
            raise output_error(self._directory, error) from error

    def _write(self, buffer: np.ndarray, rows: int) -> None:
        try:
            filled = np.asarray(buffer[:rows])
            self._add_up(filled)
            wide = self._columns.append(filled)
        finally:
            self._free.put(buffer)
        if len(wide):
            self._wide.append(wide)
        if self._columns.rows >= _ROW_GROUP_ROWS:
            self._files.write(self._columns.take())
        if sum(map(len, self._wide)) >= _ROW_GROUP_ROWS:
            self._write_wide()

    def _write_wide(self) -> None:
        self._wide_files.write(as_they_are(np.concatenate(self._wide), self._table))
        self._wide.clear()

    def _close(self) -> None:
        if self._columns.rows or not self._files.names:
            self._files.write(self._columns.take())
        if self._wide:
            self._write_wide()
        self._files.close()
        self._wide_files.close()


class EventLog:
    """The tables of a run's log, fed from the engine's buffers; a context manager."""

    def __init__(
        self, directory: Path, machine_state: Tables, kept: Sequence[str], sums: RunSums, areas: bool
    ) -> None:
        """Create the files; `areas` says whether the design has AREAS."""
        tables = {name: table if areas else table.without_areas() for name, table in LOG_TABLES.items()}
        self._machine_state = machine_state
        add_up = {"operations": sums.add_operations, "events": sums.add_events}
        self._logs = {
            name: TableLog(directory, tables[name], getattr(machine_state, name), add_up.get(name, _nothing))
            for name in kept
        }

    @property
    def files(self) -> dict[str, list[str]]:
        """Names of the files of each table; valid for a closed log."""
        return {what: names for log in self._logs.values() for what, names in log.files.items()}

    def exchange(self) -> None:
        """Take the full buffers and give the engine empty ones."""
        machine = self._machine_state.machine[0]
        for name, log in self._logs.items():
            logged = f"{name}_logged"
            rows = int(machine[logged])
            if rows >= int(machine[f"log_{name}"]):
                self._machine_state.rebind(name, log.exchange(getattr(self._machine_state, name), rows))
                machine[logged] = 0

    def close(self) -> None:
        """Write the remaining rows and finish the files."""
        machine = self._machine_state.machine[0]
        for name, log in self._logs.items():
            log.close(getattr(self._machine_state, name), int(machine[f"{name}_logged"]))

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        for log in self._logs.values():
            log.abandon()
