"""Dropping rows without losing their time."""

from __future__ import annotations

import numpy as np

from pipeline.jit.tables import Tables, records
from pipeline.schema.trace import MAX_TASKS
from pipeline.trace.transform.loops import CARRIED, FOLDED, LEVELS, fold
from pipeline.trace.transform.step import Columns, select_rows

# Columns that change.
FOLDED_COLUMNS = ("think_ns", "wait_ns", "depth")
_READ = ("task", "think_ns", "wait_ns", "hold_ns", "block_ns", "depth")


class Folding:
    """Drops rows, batch by batch, and adds their time to think and wait of the task's next row.

    `dropped` is the number of rows dropped so far.
    """

    def __init__(self) -> None:
        """Begin before the first row."""
        self.dropped = 0
        self._tasks = Tables(
            checked=False,
            top=np.full(MAX_TASKS, -1, np.int64),
            folded=records(MAX_TASKS * LEVELS, FOLDED),
            carried=records(MAX_TASKS * LEVELS, CARRIED),
        )

    def drop(self, found: Columns, keep: np.ndarray) -> Columns:
        """Return copies of the rows where `keep` (bool [n]) is true. Rows nested in dropped ones move up."""
        columns = dict(found)
        for name in FOLDED_COLUMNS:
            columns[name] = found[name].copy()
        rows = Tables(checked=False, **{name: columns[name] for name in _READ}, keep=keep.view(np.int8))
        fold(rows, len(keep), self._tasks)
        self.dropped += int((~keep).sum())
        return select_rows(columns, keep)

    def lost_ns(self) -> int:
        """Return the CPU time of dropped rows that was not added to a later row of their task, in ns."""
        carried, folded = (
            table.reshape(MAX_TASKS, LEVELS) for table in (self._tasks.carried, self._tasks.folded)
        )
        inside = np.arange(LEVELS) <= self._tasks.top[:, None]
        dropped = inside & (folded["stays"] == 0) & (folded["depth"] == 0)
        return int(carried["think_ns"][:, 0].sum() + np.maximum(folded["cpu_ns"][dropped], 0).sum())
