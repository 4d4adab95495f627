"""The step `window=0.2s..1.5s`: keep a time window of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UsageError
from pipeline.schema.trace import MAX_TASKS
from pipeline.trace.reader import Trace
from pipeline.trace.transform.halves import Halves
from pipeline.trace.transform.loops import inherit
from pipeline.trace.transform.step import (
    Columns,
    Outcome,
    StepKind,
    batches,
    begin_outcome,
    numbers_used,
    renumber,
    select_rows,
)
from pipeline.trace.transform.step_text import Parameters, duration_text

NAME = "window"
_DECIDING = ("time_ns", "task", "process", "depth", "part", "mapping")


@dataclass(frozen=True)
class Window:
    """Keep outermost operations that begin in [begin_ns, end_ns), with all operations nested in them."""

    begin_ns: int
    end_ns: int | None

    @classmethod
    def parse(cls, value: str, keys: Mapping[str, str]) -> Window:
        """Parse the step from `FROM..TO`."""
        return cls(*Parameters(NAME, value, keys, ()).interval_ns(NAME))

    @property
    def text(self) -> str:
        """The step in the syntax of the command."""
        end = "" if self.end_ns is None else duration_text(self.end_ns)
        return f"{NAME}={duration_text(self.begin_ns)}..{end}"

    def apply(self, trace: Trace) -> Outcome:
        """Keep the window's rows. The first begins at 0; tasks' first think and wait times are cut to fit.

        Raises UsageError for a window without operations.
        """
        halves = Halves(self._mark(trace, _DECIDING), open_end=True)
        first_ns = next(
            (int(rows["time_ns"][0]) for rows in halves.drop(self._select(trace, _DECIDING))), None
        )
        if first_ns is None:
            raise UsageError(
                f"step {self.text}: no operation of {trace.path} begins in this window; its operations begin "
                f"from 0 to {trace.maximum('time_ns') / 1e9:.6f} s"
            )
        tasks, processes = numbers_used(halves.drop(self._select(trace, _DECIDING)))
        outcome = begin_outcome(trace, iter(()))
        rows = halves.describe(outcome, self._select(trace))
        outcome.rows = renumber(_begin_at(rows, first_ns, outcome.notes), tasks, processes)
        return outcome

    def _mark(self, trace: Trace, names: Sequence[str] | None = None) -> Iterator[tuple[Columns, np.ndarray]]:
        """Yield all rows, with whether they are in the window."""
        kept = np.zeros(MAX_TASKS, np.bool_)
        for columns in batches(trace, names):
            times = columns["time_ns"]
            keep = times >= self.begin_ns
            if self.end_ns is not None:
                keep &= times < self.end_ns
            inherit(columns["task"], columns["depth"], keep, kept)
            yield columns, keep

    def _select(self, trace: Trace, names: Sequence[str] | None = None) -> Iterator[Columns]:
        for columns, keep in self._mark(trace, names):
            if keep.any():
                yield select_rows(columns, keep)


def _begin_at(rows: Iterator[Columns], first_ns: int, notes: list[str]) -> Iterator[Columns]:
    """Yield rows with times relative to the first row of the window."""
    seen = np.zeros(MAX_TASKS, np.bool_)
    shortened = 0
    for columns in rows:
        columns["time_ns"] -= first_ns
        if first_ns:
            shortened += _shorten_first(columns, seen)
        yield columns
    if shortened:
        notes.append(
            f"{shortened:,} tasks' first think_ns and wait_ns were cut to the part inside the window"
        )


def _shorten_first(columns: Columns, seen: np.ndarray) -> int:
    """Cut think and then wait of each task's first row to the time since 0. Return the number of cut rows."""
    tasks, first = np.unique(columns["task"], return_index=True)
    first = first[~seen[tasks]]
    seen[tasks] = True
    since, think, wait = (columns[name][first] for name in ("time_ns", "think_ns", "wait_ns"))
    columns["think_ns"][first] = np.minimum(think, since)
    columns["wait_ns"][first] = np.minimum(wait, since - columns["think_ns"][first])
    return int((think + wait > since).sum())


STEPS = (
    StepKind(
        NAME,
        Window.parse,
        "window=FROM..TO",
        "keep operations that begin at or after FROM and before TO, completely",
    ),
)
