"""A recording of the kernel's own pool as a run, with its facts in the columns of a run's log.

A query can therefore compare model and machine. Operations, tasks and pages are numbered as in the trace that
`pipeline import` makes of the recording, so `op` is the same operation in both. Facts that were not recorded
are None, never 0: waits, holds, interrupted CPUs, probed and scanned slots.

Three durations are bounded by events on the recorded machine, which is emulated for the shipped recordings. A
scan ends at the task's next event other than an eviction, a flush at the task's next event, and a sleep when
the task has the lock again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError
from pipeline.importing.importer import read_column_names
from pipeline.importing.kmap_pool.events import (
    ENTER,
    FLUSH,
    NONE,
    PAGE_ADDRESS,
    SCAN,
    SLEEP,
    WOKEN,
    PoolEvents,
)
from pipeline.importing.kmap_pool.lock_schedule import MAPS, schedule_holds
from pipeline.importing.kmap_pool.operations import build_mappings, pair_events
from pipeline.importing.kmap_pool.recordings import NEEDED_COLUMNS, read_pool_events
from pipeline.importing.mappings import HOLD_SPLIT, POOL_THINK_SPLIT, arrange
from pipeline.importing.wrong_kinds import describe_wrong_kind
from pipeline.schema.log import EVENTS, OPERATIONS
from pipeline.schema.names import KINDS
from pipeline.schema.trace import Column
from pipeline.trace.lock_text import FORMATS

# Totals that cannot be counted without events of a kind.
_COUNTED_BY = {
    ENTER: ("map_ns", "map_max_ns"),
    PAGE_ADDRESS: ("freed",),
    SCAN: ("scans",),
    FLUSH: ("flushes",),
    SLEEP: ("sleeps", "asleep_ns", "sleep_max_ns"),
    WOKEN: ("woken",),
}
_EVENT_NAMES = {SCAN: "scan", FLUSH: "flush", SLEEP: "sleep"}


@dataclass(frozen=True)
class RecordedRun:
    """A recording as a run: its two tables, with None for unknown facts, and their sums.

    `totals` has the countable fields of `runs.schema.Totals`, and None for the others.
    """

    operations: pa.Table
    events: pa.Table
    totals: dict[str, int | None]
    cpus: int


def read_recorded_run(path: Path) -> RecordedRun:
    """Read a recording of the pool's raw events (`*.kmap.parquet`) as a run.

    Operations without a recorded begin or end are omitted, as in `pipeline import`. Raises InputError if the
    file is not such a recording.
    """
    columns = read_column_names(path)
    if not columns:
        other = (
            f"found a file of another kind; the formats of lock statistics are {', '.join(FORMATS.values())}"
        )
        wrong = describe_wrong_kind(path)
        raise InputError(
            f"{path}: expected a run directory, a recording of the kernel's pool with times in nanoseconds "
            f"(*.kmap.parquet) or a file of lock statistics; {f'this {wrong}' if wrong else other}"
        )
    if not columns.issuperset(NEEDED_COLUMNS):
        what = (
            "a trace; replay it with 'pipeline replay' to get a run"
            if "think_ns" in columns
            else "another table"
        )
        raise InputError(
            f"{path}: expected a run directory or a recording of the kernel's pool (*.kmap.parquet), "
            f"found {what}"
        )
    pool = read_pool_events(path)
    if (pool.time == NONE).any():
        raise InputError(
            f"{path}: expected a time for each event (time_ns), which the tables of a run require; 'pipeline "
            "study kernel' works without"
        )
    operations = pair_events(pool)
    arranged = arrange(build_mappings(pool, operations), POOL_THINK_SPLIT, HOLD_SPLIT, True)
    kept = arranged.source_row
    return _Recorded(
        pool, operations.asked[kept], operations.mapped[kept], operations.unmapped[kept], arranged.rows
    ).run()


@dataclass(frozen=True)
class _Recorded:
    """Return positions in `pool` of the three events of each operation, in trace order, and its rows."""

    pool: PoolEvents
    asked: np.ndarray
    mapped: np.ndarray
    unmapped: np.ndarray
    rows: dict[str, np.ndarray]

    def run(self) -> RecordedRun:
        begin = int(self.pool.time[self.asked[0]])
        which = np.flatnonzero(np.isin(self.pool.code, list(_EVENT_NAMES)) & (self.pool.time >= begin))
        durations = self._durations()
        op = self._operations_of(which)
        events = self._events(which, op, durations, begin)
        operations = self._operations(which, op, durations, begin)
        totals = self._totals(operations, events)
        if ENTER in self.pool.unrecorded:
            operations["asked_ns"] = None
        return RecordedRun(
            _table(OPERATIONS, operations, len(self.asked)),
            _table(EVENTS, events, len(which)),
            totals,
            int(self.pool.cpu.max()) + 1,
        )

    def _durations(self) -> np.ndarray:
        """Return for each event the time to its task's next event except evictions; NONE without one."""
        code, time, pid = self.pool.code, self.pool.time, self.pool.pid
        shown = np.flatnonzero(~self.pool.evicts())
        by_task = shown[np.argsort(pid[shown], kind="stable")]
        here, after = by_task[:-1], by_task[1:]
        durations = np.full(len(code), NONE)
        same = pid[here] == pid[after]
        durations[here[same]] = (time[after] - time[here])[same]
        return durations

    def _count_freed(self, scans: np.ndarray) -> np.ndarray:
        """Return the number of slots freed by each scan: evictions up to the task's next scan or map."""
        code, pid = self.pool.code, self.pool.pid
        by_task = np.argsort(pid, kind="stable")
        position = np.empty(len(code), np.int64)
        position[by_task] = np.arange(len(code))
        evicted = self.pool.evicts()[by_task]
        so_far = np.concatenate([[0], np.cumsum(evicted)])
        # Evictions directly follow their scan in the order of the task.
        other = np.flatnonzero(~evicted)
        first = position[scans] + 1
        end = np.append(other, len(code))[np.searchsorted(other, first)]
        return so_far[end] - so_far[first]

    def _operations_of(self, which: np.ndarray) -> np.ndarray:
        """Return the operation of each event: requested by its task and not yet mapped."""
        length = len(self.pool.code)
        keys = self.pool.pid[self.asked] * length + self.asked
        order = np.argsort(keys)
        at = np.searchsorted(keys[order], self.pool.pid[which] * length + which) - 1
        op = order[np.maximum(at, 0)]
        within = (
            (at >= 0) & (self.pool.pid[self.asked[op]] == self.pool.pid[which]) & (self.mapped[op] > which)
        )
        return np.where(within, op, NONE)

    def _events(self, which: np.ndarray, op: np.ndarray, durations: np.ndarray, begin: int) -> dict[str, Any]:
        code = self.pool.code[which]
        scan = code == SCAN
        freed = np.full(len(which), NONE)
        freed[scan] = self._count_freed(which[scan])
        return {
            "time_ns": self.pool.time[which] - begin,
            "duration_ns": _or_none(durations[which]),
            "op": _or_none(op),
            "task": _or_none(self._tasks_of(which)),
            "other": _or_none(freed),
            "cpu": _or_none(self.pool.cpu[which]),
            "event": [_EVENT_NAMES[number] for number in code.tolist()],
        }

    def _tasks_of(self, which: np.ndarray) -> np.ndarray:
        """Return the trace's number of each event's task; NONE for a task without a complete operation."""
        tasks = self.rows["task"]
        number = dict(zip(self.pool.pid[self.asked].tolist(), tasks.tolist(), strict=True))
        return np.array([number.get(pid, NONE) for pid in self.pool.pid[which].tolist()], np.int64)

    def _operations(
        self, which: np.ndarray, op: np.ndarray, durations: np.ndarray, begin: int
    ) -> dict[str, Any]:
        slept = (self.pool.code[which] == SLEEP) & (op != NONE)  # so its end is known: the page was mapped
        count = len(self.asked)
        sleeps = np.bincount(op[slept], minlength=count)
        asleep = np.zeros(count, np.int64)
        np.add.at(asleep, op[slept], durations[which[slept]])
        kinds = self.rows["kind"]
        return {
            "op": np.arange(count),
            "page": self.rows["page"],
            "asked_ns": self.pool.time[self.asked] - begin,
            "mapped_ns": self.pool.time[self.mapped] - begin,
            "done_ns": self.pool.time[self.unmapped] - begin,
            "asleep_ns": asleep,
            "task": self.rows["task"],
            "slot": _or_none(self.pool.slot[self.mapped]),
            "sleeps": sleeps,
            "cpu_map": _or_none(self.pool.cpu[self.mapped]),
            "cpu_unmap": _or_none(self.pool.cpu[self.unmapped]),
            "kind": [KINDS[kind] for kind in kinds.tolist()] if self.pool.kind is not None else None,
            "served": self._list_served(),
            "depth": self.rows["depth"],
        }

    def _list_served(self) -> list[str | None]:
        """Return misses: turns that gave the page a new address; None for an incomplete turn."""
        turns = schedule_holds(self.pool)
        maps = turns.kind == MAPS
        takes = dict(zip(turns.seq[maps].tolist(), turns.takes[maps].tolist(), strict=True))
        words = {True: "miss", False: "hit", None: None}
        return [words[takes.get(seq)] for seq in self.pool.seq[self.mapped].tolist()]

    def _totals(self, operations: dict[str, Any], events: dict[str, Any]) -> dict[str, int | None]:
        kinds = np.array(events["event"], object)
        maps = operations["mapped_ns"] - operations["asked_ns"]
        served = operations["served"]
        in_force = np.zeros(len(self.pool.code), np.int64)
        in_force[self.mapped] = 1
        in_force[self.unmapped] = -1
        sleep_ns = [ns for ns, kind in zip(events["duration_ns"], kinds, strict=True) if kind == "sleep"]
        known_sleep_ns = [ns for ns in sleep_ns if ns is not None]
        whole = None not in served
        totals: dict[str, int | None] = {
            "wall_ns": int(operations["done_ns"].max()),
            "operations": len(self.asked),
            "hits": served.count("hit") if whole else None,
            "misses": served.count("miss") if whole else None,
            "scans": int((kinds == "scan").sum()),
            "freed": sum(freed or 0 for freed in events["other"]),
            "flushes": int((kinds == "flush").sum()),
            "sleeps": len(sleep_ns),
            "asleep_ns": sum(known_sleep_ns),
            "sleep_max_ns": max(known_sleep_ns, default=0),
            "woken": int((self.pool.code == WOKEN).sum()),
            "map_ns": int(maps.sum()),
            "map_max_ns": int(maps.max()),
            "max_mapped": int(np.cumsum(in_force).max()),
        }
        for code, names in _COUNTED_BY.items():
            if code in self.pool.unrecorded:
                totals |= dict.fromkeys(names)
        return totals


def _or_none(values: np.ndarray) -> list[int | None]:
    return [None if value == NONE else value for value in values.tolist()]


def _table(columns: tuple[Column, ...], values: dict[str, Any], length: int) -> pa.Table:
    """Return the log's columns in order, with strings for dictionaries and null for missing values."""
    arrays = []
    for column in columns:
        kind = pa.string() if pa.types.is_dictionary(column.type) else column.type
        value = values.get(column.name)
        arrays.append(pa.nulls(length, kind) if value is None else pa.array(value).cast(kind))
    return pa.table(arrays, names=[column.name for column in columns])
