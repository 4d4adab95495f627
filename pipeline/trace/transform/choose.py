"""The steps `tasks=0-3`, `processes=1+4` and `sample=0.25`: select tasks or processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UsageError
from pipeline.trace.reader import Trace
from pipeline.trace.transform.halves import Halves
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
from pipeline.trace.transform.step_text import Parameters

_DECIDING = ("time_ns", "task", "process", "part", "mapping")


@dataclass(frozen=True)
class Selection:
    """Select tasks or processes (`column`) by their numbers."""

    column: str
    numbers: tuple[int, ...]

    @classmethod
    def tasks(cls, value: str, keys: Mapping[str, str]) -> Selection:
        """Parse the step from task numbers."""
        return cls("task", tuple(Parameters("tasks", value, keys, ()).numbers("tasks")))

    @classmethod
    def processes(cls, value: str, keys: Mapping[str, str]) -> Selection:
        """Parse the step from process numbers."""
        return cls("process", tuple(Parameters("processes", value, keys, ()).numbers("processes")))

    @property
    def text(self) -> str:
        """The step, with ranges expanded."""
        return f"{'tasks' if self.column == 'task' else 'processes'}={'+'.join(map(str, self.numbers))}"

    def apply(self, trace: Trace) -> Outcome:
        """Keep the rows of the selection. Raises UsageError for a number that the trace does not have."""
        last = trace.maximum(self.column)
        if self.numbers[-1] > last:
            raise UsageError(
                f"step {self.text.partition('=')[0]}: expected {self.column} {self.numbers[-1]:,}, "
                f"found 0 to {last:,} in {trace.path}"
            )
        wanted = np.zeros(last + 1, np.bool_)
        wanted[list(self.numbers)] = True
        return _keep(trace, self.text, self.column, wanted)


@dataclass(frozen=True)
class Sample:
    """Keep a random share of the tasks or processes, at least one."""

    share: float
    column: str
    seed: int

    @classmethod
    def parse(cls, value: str, keys: Mapping[str, str]) -> Sample:
        """Parse the step from a share and `of`."""
        given = Parameters("sample", value, keys, ("of", "seed"))
        column = {"tasks": "task", "processes": "process"}[
            given.one_of("of", ("tasks", "processes"), "tasks")
        ]
        return cls(given.share("sample"), column, given.whole("seed", 0, "0"))

    @property
    def text(self) -> str:
        """The step with all parameters."""
        return (
            f"sample={self.share:g},of={'tasks' if self.column == 'task' else 'processes'},seed={self.seed}"
        )

    def apply(self, trace: Trace) -> Outcome:
        """Keep the rows of round(share * number) tasks or processes drawn by the seed, at least one."""
        tasks, processes = numbers_used(batches(trace, ("task", "process")))
        there = np.flatnonzero(tasks if self.column == "task" else processes)
        count = min(max(round(self.share * len(there)), 1), len(there))
        order = np.random.Generator(np.random.PCG64(self.seed)).permutation(len(there))
        wanted = np.zeros(trace.maximum(self.column) + 1, np.bool_)
        wanted[there[order[:count]]] = True
        outcome = _keep(trace, self.text, self.column, wanted)
        outcome.notes.append(f"{count:,} of {len(there):,} {self.text.partition('of=')[2].partition(',')[0]}")
        return outcome


def _keep(trace: Trace, text: str, column: str, wanted: np.ndarray) -> Outcome:
    def marked(names: Sequence[str] | None = None) -> Iterator[tuple[Columns, np.ndarray]]:
        for columns in batches(trace, names):
            yield columns, wanted[columns[column]]

    def selected(names: Sequence[str] | None = None) -> Iterator[Columns]:
        for columns, keep in marked(names):
            if keep.any():
                yield select_rows(columns, keep)

    halves = Halves(marked(_DECIDING))
    tasks, processes = numbers_used(halves.drop(selected(_DECIDING)))
    first_ns = next((int(columns["time_ns"][0]) for columns in halves.drop(selected(_DECIDING))), 0)
    if trace.rows and not tasks.any():
        raise UsageError(
            f"step {text}: expected rows that stay, found only mappings of which the other row is of a task "
            "that does not; select more tasks"
        )
    outcome = begin_outcome(trace, iter(()))
    rows = halves.describe(outcome, selected())
    outcome.rows = renumber(_begin_at(rows, first_ns), tasks, processes)
    return outcome


def _begin_at(rows: Iterator[Columns], first_ns: int) -> Iterator[Columns]:
    for columns in rows:
        columns["time_ns"] -= first_ns
        yield columns


STEPS = (
    StepKind("tasks", Selection.tasks, "tasks=0-3+7", "keep the operations of these tasks"),
    StepKind(
        "processes",
        Selection.processes,
        "processes=0-3+7",
        "keep the operations of all tasks of these processes",
    ),
    StepKind(
        "sample",
        Sample.parse,
        "sample=SHARE[,of=tasks|processes,seed=0]",
        "keep a share of the tasks or processes, drawn at random",
    ),
)
