"""The step `highmem=0.5`: reduce the share of pages in highmem.

A trace contains operations that needed a mapping, on pages in highmem. If some of these pages were in low
memory, which is always mapped, their operations would need no mapping. The step removes their rows, and adds
their time to the think and wait time of the task's next operation. Pages that were in low memory when the
trace was made are not in it, so the share can only decrease.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UsageError
from pipeline.jit.tables import Tables, records
from pipeline.schema.trace import COLUMN_NAMES, MAX_TASKS
from pipeline.trace.reader import Trace
from pipeline.trace.transform.loops import CARRIED, FOLDED, LEVELS, fold
from pipeline.trace.transform.step import (
    Columns,
    Outcome,
    StepKind,
    batches,
    begin_outcome,
    draw,
    mark_derived,
    numbers_used,
    renumber,
    select_rows,
)
from pipeline.trace.transform.step_text import Parameters

NAME = "highmem"
_FOLDED = ("task", "think_ns", "wait_ns", "hold_ns", "block_ns", "depth")


@dataclass(frozen=True)
class Highmem:
    """Keep a share of the pages in highmem."""

    share: float
    seed: int

    @classmethod
    def parse(cls, value: str, keys: Mapping[str, str]) -> Highmem:
        """Parse the step from a share."""
        given = Parameters(NAME, value, keys, ("seed",))
        return cls(given.share(NAME), given.whole("seed", 0, "0"))

    @property
    def text(self) -> str:
        """The step with all parameters."""
        return f"{NAME}={self.share:g},seed={self.seed}"

    def apply(self, trace: Trace) -> Outcome:
        """Drop rows of pages in low memory, and add their time to the think time of the next row.

        Raises UsageError if no row is left.
        """
        tasks, processes = numbers_used(self._select(trace))
        if not tasks.any():
            raise UsageError(
                f"step {self.text}: no page of {trace.path} stays in highmem; use a larger share"
            )
        first_ns = next(int(rows["time_ns"][0]) for rows in self._select(trace))
        outcome = begin_outcome(trace, iter(()))
        outcome.rows = renumber(self._fold(trace, first_ns, outcome.notes), tasks, processes)
        if self.share < 1.0:
            outcome.columns = mark_derived(outcome.columns, ("think_ns", "wait_ns", "depth"))
        return outcome

    def _select(self, trace: Trace) -> Iterator[Columns]:
        for columns in batches(trace, ("time_ns", "task", "process", "page")):
            keep = draw(columns["page"], self.share, self.seed)
            if keep.any():
                yield select_rows(columns, keep)

    def _fold(self, trace: Trace, first_ns: int, notes: list[str]) -> Iterator[Columns]:
        tasks = Tables(
            checked=False,
            top=np.full(MAX_TASKS, -1, np.int64),
            folded=records(MAX_TASKS * LEVELS, FOLDED),
            carried=records(MAX_TASKS * LEVELS, CARRIED),
        )
        dropped = 0
        for found in batches(trace):
            columns = dict(found)
            for name in ("think_ns", "wait_ns", "depth"):
                columns[name] = found[name].copy()
            keep = draw(found["page"], self.share, self.seed)
            rows = Tables(checked=False, **{name: columns[name] for name in _FOLDED}, keep=keep.view(np.int8))
            fold(rows, len(keep), tasks)
            dropped += int((~keep).sum())
            kept = select_rows({name: columns[name] for name in COLUMN_NAMES}, keep)
            kept["time_ns"] -= first_ns
            yield kept
        if dropped:
            after_ns = _time_after_the_last(tasks)
            notes.append(
                f"{dropped:,} operations on pages in low memory were removed; {after_ns / 1e9:.6f} s of "
                "their CPU time came after their task's last remaining operation and are lost"
            )


def _time_after_the_last(tasks: Tables) -> int:
    """Return the CPU time of dropped rows that was not added to a later row of their task, in ns."""
    carried, folded = (table.reshape(MAX_TASKS, LEVELS) for table in (tasks.carried, tasks.folded))
    dropped = (np.arange(LEVELS) <= tasks.top[:, None]) & (folded["stays"] == 0) & (folded["depth"] == 0)
    return int(carried["think_ns"][:, 0].sum() + np.maximum(folded["cpu_ns"][dropped], 0).sum())


STEPS = (
    StepKind(
        NAME,
        Highmem.parse,
        "highmem=SHARE[,seed=0]",
        "keep a share of the pages in highmem; operations on the others need no mapping, and their time "
        "becomes think and wait time",
    ),
)
