"""Feeding a trace to the engine: a thread reads ahead, in chunks laid out by task, in bounded memory.

Tasks drift apart in a closed loop and fall behind in a timed one, so rows accumulate that are read but not
yet due. The rows of a trace of more than RESIDENT_ROWS rows are in a sparse temporary file that is mapped
into memory. The memory is released each time RESIDENT_ROWS rows have been touched; rows not yet due stay in
the file.
"""

from __future__ import annotations

import mmap
import os
import queue
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.io.files import output_error
from pipeline.machine.drive import AREA_COLUMNS, COLUMNS, Census, Simulation, given_areas
from pipeline.machine.engine.records import ROW, RUN
from pipeline.machine.machine_state import RowStorage
from pipeline.schema.trace import ROW_GROUP_ROWS
from pipeline.trace.check import TraceCheck, refuse, refuse_claims
from pipeline.trace.reader import Trace, numpy_column

# A chunk (512 KiB) fits in a CPU's own cache and is large enough to hide the cost of a call.
CHUNK_ROWS = 1 << 13
RESIDENT_ROWS = 1 << 20
# Enough to continue while a row group is decoded; more would be evicted from the caches before use.
_AHEAD_CHUNKS = 16


def take_census(trace: Trace) -> Census:
    """Read the size of each task's work in a trace, from the file's statistics and two columns.

    Raises InputError for an empty trace and for numbers that are too large for a replay.
    """
    refuse_claims(trace)
    tasks, processes = trace.maximum("task") + 1, trace.maximum("process") + 1
    rows = np.zeros(tasks, np.int64)
    process = np.zeros(tasks, np.int64)
    for batch in trace.batches(["task", "process"]):
        for name, count in (("task", tasks), ("process", processes)):
            numbers = numpy_column(batch, name)
            if numbers.min(initial=0) < 0 or numbers.max(initial=0) >= count:
                raise InputError(
                    f"{trace.path}: found a {name} outside its declared range 0 to {count - 1:,}; "
                    f"see 'pipeline doctor {trace.path}'"
                )
        task = numpy_column(batch, "task")
        rows += np.bincount(task, minlength=tasks)
        process[task] = numpy_column(batch, "process")
    return Census(
        rows, process, trace.count_page_numbers(), trace.maximum("depth") + 1,
        trace.maximum("think_ns"), trace.maximum("wait_ns"),
    )  # fmt: skip


@dataclass(frozen=True)
class _Chunk:
    slot: int
    rows: int
    last_ns: int


class Feed:
    """Hands chunks of a trace to the engine on request; a context manager.

    With `threaded`, a thread decodes and arranges chunks in advance; `admit_next` raises its errors. `jitter`
    is the largest fraction by which think and wait times change. `observe_pages` is called with the pages of
    the trace's operations, in order.
    """

    def __init__(
        self,
        trace: Trace,
        census: Census,
        scratch: Path,
        threaded: bool,
        jitter: float = 0.0,
        observe_pages: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        self.trace = trace
        self.census = census
        self.jitter = jitter
        self.chunks = -(-trace.rows // CHUNK_ROWS)
        self.chunk_rows = CHUNK_ROWS
        self.rows_admitted = 0
        self.most_backlog_rows = 0
        self._observe_pages = observe_pages
        self._scratch = scratch
        self._file: Any = None
        self._map: mmap.mmap | None = None
        self._relieved_at = 0
        self._slots = 0
        # The slot that was freed last is probably still cached.
        self._free: queue.LifoQueue[int] = queue.LifoQueue()
        self._thread = ThreadPoolExecutor(1, "trace-reader") if threaded else None
        self._ahead: deque[Future[_Chunk]] = deque()
        self._in_use: list[_Chunk] = []
        self._arranged: Iterator[_Chunk] = iter(())

    def storage(self) -> RowStorage:
        """Return the tables of rows: in memory for a short trace, in a sparse mapped file for a long one."""
        count = self.chunks * CHUNK_ROWS
        if count <= RESIDENT_ROWS:
            return RowStorage.allocate(count)
        size = count * (ROW.itemsize + RUN.itemsize)
        try:
            self._file = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 - closed by __exit__
            os.ftruncate(self._file.fileno(), size)
        except OSError as error:
            raise output_error(self._scratch, error) from error
        self._map = mmap.mmap(self._file.fileno(), size)
        rows = np.frombuffer(self._map, ROW, count)
        runs = np.frombuffer(self._map, RUN, count, rows.nbytes)
        return RowStorage(rows.view(np.recarray), runs.view(np.recarray))

    def start(self, simulation: Simulation) -> None:
        """Start reading for a simulation."""
        self._machine_state, self._simulator = simulation.machine_state, simulation.simulator
        self._arranged = self._arrange()
        if self._thread is not None:
            self._ahead.extend(self._thread.submit(next, self._arranged) for _ in range(_AHEAD_CHUNKS))

    def admit_next(self) -> None:
        """Give the engine its next chunk. Raises InputError for rows that cannot be replayed."""
        self._reclaim()
        if self._thread is not None:
            self._ahead.append(self._thread.submit(next, self._arranged))
            chunk = self._ahead.popleft().result()
        else:
            chunk = next(self._arranged)
        self._in_use.append(chunk)
        self.rows_admitted += chunk.rows
        complete = int(self.rows_admitted == self.trace.rows)
        # In a timed loop, the think time of an unread row may begin this long before its recorded time.
        horizon_ns = chunk.last_ns - self.census.lead_ns(self.jitter)
        self._simulator.admit(self._machine_state, chunk.slot, chunk.rows, horizon_ns, complete)

    def _reclaim(self) -> None:
        """Free the slots whose rows were all taken, and record the number of waiting rows."""
        left = self._machine_state.chunk_left
        self.most_backlog_rows = max(
            self.most_backlog_rows, sum(int(left[chunk.slot]) for chunk in self._in_use)
        )
        still = [chunk for chunk in self._in_use if left[chunk.slot] > 0]
        for chunk in self._in_use:
            if left[chunk.slot] == 0:
                self._free.put(chunk.slot)
        self._in_use = still

    def relieve(self, operations: int) -> None:
        """Release memory after each RESIDENT_ROWS rows; `operations` is the number of completed ones."""
        if self._map is None or self._slots * CHUNK_ROWS <= RESIDENT_ROWS:
            return
        touched = self.rows_admitted + operations
        if touched - self._relieved_at >= RESIDENT_ROWS:
            self._relieved_at = touched
            self._map.madvise(mmap.MADV_DONTNEED)

    def _slot(self) -> int:
        try:
            return self._free.get_nowait()
        except queue.Empty:
            slot = self._slots
        if slot == self.chunks:
            # The tables have room for the number of rows declared by the file.
            raise InputError(
                f"{self.trace.path}: has more rows than the {self.trace.rows:,} that it declares"
            )
        self._slots += 1
        if self._file is not None:
            tables = ((0, ROW.itemsize), (self.chunks * CHUNK_ROWS * ROW.itemsize, RUN.itemsize))
            try:
                # Disk space is reserved first, as writing to a mapped page without it would kill the process.
                for begin, bytes_a_row in tables:
                    size = CHUNK_ROWS * bytes_a_row
                    os.posix_fallocate(self._file.fileno(), begin + slot * size, size)
            except OSError as error:
                raise output_error(self._scratch, error) from error
        return slot

    def _arrange(self) -> Iterator[_Chunk]:
        first_op = 0
        for columns in self._whole_chunks():
            rows = len(columns["time_ns"])
            if self._observe_pages is not None:
                self._observe_pages(columns["page"])
            for first in range(0, rows, CHUNK_ROWS):
                part = [column[first : first + CHUNK_ROWS] for column in columns.values()]
                n = len(part[0])
                slot = self._slot()
                self._simulator.arrange(
                    self._machine_state, slot, n, first_op + first, *part, given_areas(part)
                )
                if self.jitter > 0:
                    self._simulator.scale_times(self._machine_state, slot, n, self.jitter)
                last_ns = int(columns["time_ns"][first + n - 1])
                yield _Chunk(slot, n, last_ns)
            first_op += rows

    def _whole_chunks(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield the trace's checked rows in whole chunks; only the last one may be shorter.

        Row groups of the trace may have any number of rows.
        """
        check = TraceCheck()
        kept: list[dict[str, np.ndarray]] = []
        waiting = 0
        # Only this thread decodes, as further threads would take the engine's CPU.
        for batch in self.trace.batches(None, ROW_GROUP_ROWS, threads=False):
            checked = check.add(batch)
            refuse(self.trace.path, check.problems())
            # The limits for which the simulation's tables were made.
            if check.largest("page") >= self.census.pages or check.largest("depth") >= self.census.levels:
                refuse(self.trace.path, check.problems_of_whole(self.trace))
            complete = check.rows >= self.trace.rows
            if complete:
                refuse(self.trace.path, check.problems_of_whole(self.trace))
            kept.append({name: checked[name] for name in COLUMNS} | _area_columns(checked))
            waiting += batch.num_rows
            if waiting < CHUNK_ROWS and not complete:
                continue
            columns = kept[0]
            if len(kept) > 1:
                columns = {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}
            over = 0 if complete else waiting % CHUNK_ROWS
            yield {name: column[: waiting - over] for name, column in columns.items()}
            kept = [{name: column[waiting - over :] for name, column in columns.items()}] if over else []
            waiting = over

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
        if self._file is not None:
            self._file.close()


def _area_columns(checked: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The optional columns that the engine reads, each empty if the trace lacks it."""
    return {
        name: checked[name] if name in checked else np.empty(0, dtype) for name, dtype in AREA_COLUMNS.items()
    }
