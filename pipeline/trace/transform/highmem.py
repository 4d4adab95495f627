"""The step `highmem=0.5`: reduce the share of pages in highmem.

A trace contains operations that needed a mapping, on pages in highmem. If some of these pages were in low
memory, which is always mapped, their operations would need no mapping. The step removes their rows, and adds
their time to the think and wait time of the task's next operation. Pages that were in low memory when the
trace was made are not in it, so the share can only decrease.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.trace.reader import Trace
from pipeline.trace.transform.folding import FOLDED_COLUMNS, Folding
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
            outcome.columns = mark_derived(outcome.columns, FOLDED_COLUMNS)
        return outcome

    def _select(self, trace: Trace) -> Iterator[Columns]:
        for columns in batches(trace, ("time_ns", "task", "process", "page")):
            keep = draw(columns["page"], self.share, self.seed)
            if keep.any():
                yield select_rows(columns, keep)

    def _fold(self, trace: Trace, first_ns: int, notes: list[str]) -> Iterator[Columns]:
        folding = Folding()
        for found in batches(trace):
            kept = folding.drop(found, draw(found["page"], self.share, self.seed))
            kept["time_ns"] -= first_ns
            yield kept
        if folding.dropped:
            notes.append(
                f"{folding.dropped:,} operations on pages in low memory were removed; "
                f"{folding.lost_ns() / 1e9:.6f} s of their CPU time came after their task's last remaining "
                "operation and are lost"
            )


STEPS = (
    StepKind(
        NAME,
        Highmem.parse,
        "highmem=SHARE[,seed=0]",
        "keep a share of the pages in highmem; operations on the others need no mapping, and their time "
        "becomes think and wait time",
    ),
)
