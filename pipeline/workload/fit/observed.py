"""A trace as the fit sees it: its operations in memory, each with the one that it is nested in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.trace.reader import Trace, numpy_column, open_trace

MOST_OPERATIONS = 1 << 22
_COLUMNS = (
    "time_ns", "task", "process", "kind", "page", "bytes", "think_ns", "wait_ns", "hold_ns", "block_ns",
    "depth",
)  # fmt: skip


@dataclass(frozen=True)
class Observed:
    """Operations of a trace, all arrays [n], by task and within a task in the order in which they began.

    `row` is each one's place in the trace. `parent` is the position of the operation that it is nested in,
    -1: none. Times in ns.
    """

    trace: Trace
    row: np.ndarray
    time_ns: np.ndarray
    task: np.ndarray
    process: np.ndarray
    kind: np.ndarray
    page: np.ndarray
    bytes: np.ndarray
    think_ns: np.ndarray
    wait_ns: np.ndarray
    hold_ns: np.ndarray
    block_ns: np.ndarray
    depth: np.ndarray
    parent: np.ndarray

    def __len__(self) -> int:
        """Return the number of operations."""
        return len(self.row)

    @property
    def outermost(self) -> np.ndarray:
        """Which operations are not nested, bool [n]."""
        return self.depth == 0

    def without(self, column: str, nested: np.ndarray) -> np.ndarray:
        """Column `hold_ns` or `block_ns` less that of the `nested` (bool [n]) operations inside; int64 [n].

        A spec counts so: what passes between the outer's begin and the inner's is the outer's own.
        """
        values: np.ndarray = getattr(self, column)
        inner = np.bincount(self.parent[nested], weights=values[nested], minlength=len(values))
        return np.maximum(values - inner.astype(np.int64), 0)

    @property
    def span_ns(self) -> int:
        """From 0 to the last begin, at least 1: ends are few and far where a mapping is held for long."""
        return max(int(self.time_ns.max()), 1)

    @property
    def begins_task(self) -> np.ndarray:
        """Which operations are their task's first, bool [n]."""
        return np.concatenate([[True], self.task[1:] != self.task[:-1]])


def observe(path: Path, most: int = MOST_OPERATIONS) -> Observed:
    """Read the first `most` operations of the trace at `path`. Raises InputError if it has none."""
    trace = open_trace(path)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in _COLUMNS}
    left = most
    for batch in trace.batches(_COLUMNS):
        for name, arrays in parts.items():
            arrays.append(numpy_column(batch, name)[:left])
        left -= len(parts["task"][-1])
        if left <= 0:
            break
    if trace.rows == 0:
        raise InputError(f"{path}: wanted a trace with operations, found none")
    columns = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    order = np.argsort(columns["task"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    parent = _parents(columns["task"], columns["depth"])
    return Observed(trace=trace, row=order, parent=parent, **columns)


def _parents(task: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Position of the latest operation one level up of the same task, -1 where there is none; int64 [n]."""
    parent = np.full(len(task), -1, np.int64)
    positions = np.arange(len(task))
    for level in range(1, int(depth.max(initial=0)) + 1):
        above = np.maximum.accumulate(np.where(depth == level - 1, positions, -1))
        here = np.flatnonzero(depth == level)
        found = above[here]
        parent[here] = np.where((found >= 0) & (task[found] == task[here]), found, -1)
    return parent
