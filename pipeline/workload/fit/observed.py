"""The operations of a trace in memory, with their nesting, as input of the fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.schema.codes import PART_UNMAP
from pipeline.trace.check import TraceCheck, refuse
from pipeline.trace.reader import Trace, numpy_column, open_trace

MOST_OPERATIONS = 1 << 22
_COLUMNS = (
    "time_ns", "task", "process", "kind", "page", "bytes", "think_ns", "wait_ns", "hold_ns", "block_ns",
    "depth",
)  # fmt: skip


@dataclass(frozen=True)
class Observed:
    """Operations of a trace as arrays [n], sorted by task and then by begin; times in ns.

    `row` numbers the operations in the order of the trace. `parent` is the position of the enclosing
    operation, -1 if none. `pages` is the length of the mapping, or None if every mapping of the trace has one
    page.
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
    pages: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of operations."""
        return len(self.row)

    @property
    def outermost(self) -> np.ndarray:
        """Return which operations are not nested, bool [n]."""
        return self.depth == 0

    def without(self, column: str, nested: np.ndarray) -> np.ndarray:
        """Return column `hold_ns` or `block_ns` without the `nested` (bool [n]) operations; int64 [n].

        As in a spec, the time between the begins of an operation and its nested operation belongs to the
        former.
        """
        values: np.ndarray = getattr(self, column)
        inner = np.bincount(self.parent[nested], weights=values[nested], minlength=len(values))
        return np.maximum(values - inner.astype(np.int64), 0)

    @property
    def span_ns(self) -> int:
        """Return the last begin in ns, at least 1; it is a better measure of the span than the last end."""
        return max(int(self.time_ns.max()), 1)

    @property
    def begins_task(self) -> np.ndarray:
        """Return which operations are the first of their task, bool [n]."""
        return np.concatenate([[True], self.task[1:] != self.task[:-1]])


def observe(path: Path, most: int = MOST_OPERATIONS) -> Observed:
    """Read the first `most` operations of the trace at `path`, without rows that only unmap.

    Raises InputError if it has none, and for an invalid trace.
    """
    trace = open_trace(path)
    lengths = ("pages",) if "pages" in trace.columns else ()
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*_COLUMNS, *lengths)}
    left = most
    check = TraceCheck()
    for batch in trace.batches():
        part = check.add(batch)["part"]
        refuse(trace.path, check.problems())
        maps = part != PART_UNMAP if len(part) else slice(None)
        for name, arrays in parts.items():
            arrays.append(numpy_column(batch, name)[maps][:left])
        left -= len(parts["task"][-1])
        if left <= 0:
            break
    if not any(map(len, parts["task"])):
        raise InputError(f"{path}: the trace has no operations")
    columns = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    order = np.argsort(columns["task"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    parent = _parents(columns["task"], columns["depth"])
    return Observed(trace=trace, row=order, parent=parent, **columns)


def _parents(task: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return the position of the enclosing operation of each operation, -1 if none; int64 [n]."""
    parent = np.full(len(task), -1, np.int64)
    positions = np.arange(len(task))
    for level in range(1, int(depth.max(initial=0)) + 1):
        above = np.maximum.accumulate(np.where(depth == level - 1, positions, -1))
        here = np.flatnonzero(depth == level)
        found = above[here]
        parent[here] = np.where((found >= 0) & (task[found] == task[here]), found, -1)
    return parent
