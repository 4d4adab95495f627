"""Sums over a run's log, made while it is written, so many queries need not read the log.

A folder in the run's directory has a Parquet file for each view of `pipeline.sql` that the sums answer, named
after the view. Sums that would take too much memory are omitted; their views then read the log.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.io.files import output_error
from pipeline.jit.entries import compiled_entry
from pipeline.jit.tables import records
from pipeline.machine.drive import Census
from pipeline.runs import add_up
from pipeline.schema.codes import E_RELOCK, WORK
from pipeline.schema.log import OPERATION_RECORD
from pipeline.schema.manifest import SUMS_FOLDER, TRACE_BLOCKS
from pipeline.schema.names import KINDS, SITES

# Up to this many rows are summed without loading compiled code.
_FEW_ROWS = 256
# Limit on distinct values of holds and waits. If many CPUs wait, nearly every wait is distinct.
MOST_VALUES = 1 << 17
# With more pages, the table of latest operations could take more than 128 MiB.
MOST_PAGES = 1 << 24

# Fields that nearly every operation changes are first and fill one cache line; all fields fill two.
_TASK = (
    "operations", "hits", "misses", "map_ns", "map_max_ns", "mapped_ns", "lock_wait_ns", "hold_ns",
    "asleep_ns", "pin_wait_ns", "scanned", "sleeps", "slept", "probed_locked", "misses_locked",
)  # fmt: skip
_TASK_RECORD = np.dtype([(name, "i8") for name in (*_TASK, "unused")])
_BLOCK_RECORD = np.dtype([(name, "i8") for name in ("operations", "lost_ns", "done_low_ns", "done_high")])
_GAP_RECORD = np.dtype([("n", "i8"), ("operations", "i8")])
# What may be before and after a page's operations; the positions are those of `add_up`.
GAPS = ("again", "first", "last")


def _loop(function: Callable[..., Any], rows: int) -> Callable[..., Any]:
    return function if rows < _FEW_ROWS else compiled_entry(function)


class _Values:
    """Counts of the keys of `add_up`, up to a limit on distinct keys."""

    def __init__(self) -> None:
        self._make_table(1 << 10)
        self.complete = True

    def _make_table(self, places: int) -> None:
        self._keys, self._counts = np.full(places, add_up.NO_KEY), np.zeros(places, np.int64)
        self._used = 0

    def add(self, keys: np.ndarray) -> None:
        if self.complete:
            self._add(keys, np.ones(len(keys), np.int64))
        if self._used > MOST_VALUES:
            self._make_table(0)
            self.complete = False

    def _add(self, keys: np.ndarray, counts: np.ndarray) -> None:
        wanted = 2 * (self._used + len(keys))
        if wanted > len(self._keys):
            known = self.read()
            self._make_table(1 << wanted.bit_length())
            self._add(*known)
        count = _loop(add_up.count_keys, len(keys))
        self._used += count(keys, counts, len(keys), self._keys, self._counts, len(self._keys))

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys and their counts."""
        found = self._keys != add_up.NO_KEY
        return self._keys[found], self._counts[found]


class _PageGaps:
    """Histograms of the number of operations between those of one page, in the order of the trace."""

    def __init__(self, census: Census) -> None:
        self.complete = census.pages <= MOST_PAGES
        self._latest = np.zeros(census.pages if self.complete else 0, np.int64)
        self._gaps = records(len(GAPS) * 64, _GAP_RECORD)
        self._operations = 0

    def add(self, pages: np.ndarray) -> None:
        if self.complete:
            add = _loop(add_up.add_gaps, len(pages))
            add(np.ascontiguousarray(pages), len(pages), self._operations, self._latest, self._gaps)
        self._operations += len(pages)

    def table(self) -> pa.Table:
        """Return the gaps by kind and power of two, after all pages have been added."""
        last = self._operations + 1 - self._latest[self._latest > 0]
        octave = np.frexp(last.astype(np.float64))[1] - 1
        gaps = self._gaps.reshape(len(GAPS), 64).copy()
        np.add.at(gaps["n"][GAPS.index("last")], octave, 1)
        np.add.at(gaps["operations"][GAPS.index("last")], octave, last)
        gap, octave = np.nonzero(gaps["n"])
        names = pa.DictionaryArray.from_arrays(pa.array(gap, pa.int8()), pa.array(GAPS))
        sums = {name: gaps[name][gap, octave] for name in ("n", "operations")}
        return pa.table({"gap": names, "operations_from": np.int64(1) << octave} | sums)


class RunSums:
    """Sums of a run with a log. Pages, operations and events may be added by different threads."""

    def __init__(self, census: Census) -> None:
        self._gaps = _PageGaps(census)
        self._operations = operations = int(census.rows.sum())
        self._tasks = records(census.tasks * len(KINDS), _TASK_RECORD)
        self._short = np.zeros(4 * add_up.SHORT_NS, np.int64)
        self._long = np.zeros(0, np.int64)
        self._blocks = records(TRACE_BLOCKS, _BLOCK_RECORD)
        # Block b has the operations with op * TRACE_BLOCKS // operations == b.
        self._ends = np.array([-(-operations * (b + 1) // TRACE_BLOCKS) for b in range(TRACE_BLOCKS)])
        self._holds, self._waits = _Values(), _Values()
        self._relock_holds, self._relock_waits = _Values(), _Values()

    def add_pages(self, pages: np.ndarray) -> None:
        """Add the pages of the trace's next operations."""
        self._gaps.add(pages)

    def add_operations(self, rows: np.ndarray) -> None:
        """Add rows of the engine's table of operations."""
        if len(self._long) < 4 * len(rows):
            self._long = np.zeros(4 * len(rows), np.int64)
        add = _loop(add_up.add_operations, len(rows))
        found = add(
            rows.view(np.recarray), len(rows), len(KINDS), self._tasks, self._short, self._long, self._blocks,
            self._ends,
        )  # fmt: skip
        keys = self._long[:found]
        waits = (keys & 3) >= add_up.MAP_WAITS
        self._holds.add(keys[~waits])
        self._waits.add(keys[waits])

    def add_events(self, rows: np.ndarray) -> None:
        """Add the relocks among rows of the engine's table of events."""
        relocks = rows[rows["event"] == E_RELOCK]
        if not len(relocks):
            return
        site, wait_ns = relocks["site"].astype(np.int64), relocks["wait_ns"]
        if site.max() == WORK:
            # The keys have no room for a third site.
            self._relock_holds.complete = self._relock_waits.complete = False
            return
        self._relock_holds.add(relocks["duration_ns"] * 4 + site + add_up.MAP_HOLDS)
        self._relock_waits.add((wait_ns * 4 + site + add_up.MAP_WAITS)[wait_ns > 0])

    def write(self, directory: Path, operations: int) -> None:
        """Write the sums into a run's directory; `operations` is the number of completed operations.

        Raises OutputError if they cannot be written.
        """
        tables = {"task_totals": self._task_totals()}
        if self._holds.complete and self._relock_holds.complete:
            tables["hold_histogram"] = self._histogram(add_up.MAP_HOLDS, self._holds, self._relock_holds)
        if self._waits.complete and self._relock_waits.complete:
            tables["wait_histogram"] = self._histogram(add_up.MAP_WAITS, self._waits, self._relock_waits)
        if operations == self._operations:
            tables["trace_blocks"] = self._trace_blocks()
            if self._gaps.complete:
                tables["page_gaps"] = self._gaps.table()
        folder = directory / SUMS_FOLDER
        try:
            folder.mkdir()
            for name, table in tables.items():
                pq.write_table(table, folder / f"{name}.parquet", compression="LZ4")
        except OSError as error:
            raise output_error(folder, error) from error

    def _task_totals(self) -> pa.Table:
        place = np.flatnonzero(self._tasks["operations"])
        task, kind = np.divmod(place, len(KINDS))
        kinds = pa.DictionaryArray.from_arrays(pa.array(kind, pa.int8()), pa.array(KINDS))
        sums = {name: self._tasks[name][place] for name in _TASK}
        return pa.table({"task": pa.array(task, pa.int32()), "kind": kinds} | sums)

    def _histogram(self, first: int, *values: _Values) -> pa.Table:
        """Return the histogram `first` of maps and the next one of unmaps."""
        short = self._short.reshape(4, add_up.SHORT_NS)[first : first + 2]
        site, value = np.nonzero(short)
        keys = [value * 4 + first + site]
        counts = [short[site, value]]
        for long_keys, long_counts in (one.read() for one in values):
            keys.append(long_keys)
            counts.append(long_counts)
        different, place = np.unique(np.concatenate(keys), return_inverse=True)
        n = np.zeros(len(different), np.int64)
        np.add.at(n, place, np.concatenate(counts))
        sites = pa.DictionaryArray.from_arrays(pa.array((different & 3) - first, pa.int8()), pa.array(SITES))
        return pa.table({"part": sites, "value": different >> 2, "n": n})

    def _trace_blocks(self) -> pa.Table:
        block = np.flatnonzero(self._blocks["operations"])
        sums = self._blocks[block]
        done_ns = [
            float((int(high) << 30) + int(low))
            for high, low in zip(sums["done_high"], sums["done_low_ns"], strict=True)
        ]
        return pa.table(
            {"block": block, "operations": sums["operations"], "done_ns": done_ns, "lost_ns": sums["lost_ns"]}
        )


def compile_loops() -> None:
    """Compile the loops by summing a small log of short holds."""
    rows = np.zeros(_FEW_ROWS, OPERATION_RECORD)
    rows["op"] = np.arange(len(rows))
    rows["map_hold_ns"] = add_up.SHORT_NS + rows["op"]
    sums = RunSums(
        Census(
            np.array([len(rows)]),
            np.zeros(1, np.int64),
            pages=1,
            levels=1,
            longest_think_ns=0,
            longest_wait_ns=0,
        )
    )
    sums.add_pages(rows["page"])
    sums.add_operations(rows)
