"""The step `append=OTHER.parquet`: append another trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import UsageError
from pipeline.io.files import sha256_of
from pipeline.schema.trace import (
    BY_NAME,
    MAX_MAPPING,
    MAX_PAGE,
    MAX_TASKS,
    MAX_TIME_NS,
    NULL_VALUES,
    numpy_type,
)
from pipeline.schema.trace_metadata import Provenance
from pipeline.trace.losses import note_losses
from pipeline.trace.reader import Trace, open_trace
from pipeline.trace.transform.step import Columns, Outcome, StepKind, batches, begin_outcome
from pipeline.trace.transform.step_text import Parameters, duration_text

NAME = "append"
_FRESH_OR_SAME = ("fresh", "same")
_LIMITS = {"task": MAX_TASKS, "process": MAX_TASKS, "page": MAX_PAGE, "mapping": MAX_MAPPING}
# Provenances from the strongest to the weakest. The joined column gets the weaker of two.
_WORTH: tuple[Provenance, ...] = ("measured", "derived", "assumed", "synthetic", "absent")


@dataclass(frozen=True)
class Append:
    """Append the trace at `path`, `gap_ns` after the latest end of the first."""

    path: Path
    same_tasks: bool
    same_pages: bool
    gap_ns: int

    @classmethod
    def parse(cls, value: str, keys: Mapping[str, str]) -> Append:
        """Parse the step from a path."""
        given = Parameters(NAME, value, keys, ("tasks", "pages", "gap"))
        tasks, pages = (given.one_of(key, _FRESH_OR_SAME, "fresh") for key in ("tasks", "pages"))
        return cls(Path(given.text(NAME)), tasks == "same", pages == "same", given.duration_ns("gap", "0"))

    @property
    def text(self) -> str:
        """The step with all parameters, and the file's name without its directory."""
        tasks, pages = (_FRESH_OR_SAME[same] for same in (self.same_tasks, self.same_pages))
        return f"{NAME}={self.path.name},tasks={tasks},pages={pages},gap={duration_text(self.gap_ns)}"

    def apply(self, trace: Trace) -> Outcome:
        """Return the rows of `trace`, followed by those of the other trace.

        Raises InputError if the other trace cannot be read. Raises UsageError if the two exceed the limits of
        a trace, or if a task with the same number is in a different process.
        """
        other = open_trace(self.path)
        begin_ns = _end_ns(trace) + self.gap_ns
        same = {"task": self.same_tasks, "process": self.same_tasks, "page": self.same_pages}
        offsets = {name: 0 if same.get(name) else used for name, used in _numbers_used(trace).items()}
        for name, used in _numbers_used(other).items():
            if offsets[name] + used > _LIMITS[name]:
                raise UsageError(
                    f"step {self.text}: together, the traces have more than the {_LIMITS[name]:,} {name} "
                    "numbers that a trace can have"
                )
        if begin_ns + other.maximum("time_ns") >= MAX_TIME_NS:
            raise UsageError(f"step {self.text}: together, the traces exceed the maximum length of a trace")
        if self.same_tasks:
            self._require_same_processes(trace, other)
        outcome = begin_outcome(trace, _join(trace, other, begin_ns, offsets))
        ours, theirs = trace.metadata, other.metadata
        outcome.columns = {
            name: max(
                ours.columns.get(name, "measured"), theirs.columns.get(name, "measured"), key=_WORTH.index
            )
            for name in ours.columns | theirs.columns
        }
        outcome.cpus = None if None in (ours.cpus, theirs.cpus) else max(ours.cpus or 0, theirs.cpus or 0)
        lost = (ours.lost_events, theirs.lost_events)
        outcome.lost_events = None if None in lost else sum(found or 0 for found in lost)
        outcome.losses = dict(Counter(ours.losses) + Counter(theirs.losses))
        outcome.notes.append(
            f"from {begin_ns:,} ns on: {theirs.source.type} trace '{theirs.source.name}' (sha256 "
            f"{sha256_of(self.path)[:12]}) with the clock: {theirs.clock}"
        )
        outcome.notes += [
            f"of '{theirs.source.name}': {note}"
            for note in note_losses(theirs.notes, {})
            if note not in ours.notes
        ]
        mixed = [
            name
            for name in ours.columns
            if name in theirs.columns and ours.columns[name] != theirs.columns[name]
        ]
        if mixed:
            outcome.notes.append(
                "columns with different provenances in the two traces have the weaker one: "
                + ", ".join(mixed)
            )
        return outcome

    def _require_same_processes(self, trace: Trace, other: Trace) -> None:
        process_of = np.full(MAX_TASKS, -1, np.int32)
        for of in (trace, other):
            for columns in batches(of, ("task", "process")):
                task, process = columns["task"], columns["process"]
                wrong = (process_of[task] >= 0) & (process_of[task] != process)
                if wrong.any():
                    at = int(task[wrong][0])
                    raise UsageError(
                        f"step {self.text}: task {at} is in process {process_of[at]} of {trace.path} and in "
                        f"{int(process[wrong][0])} of {self.path}; use tasks=fresh"
                    )
                process_of[task] = process


def _end_ns(trace: Trace) -> int:
    """Return the latest certain end of an operation."""
    return max(
        (
            int((columns["time_ns"] + columns["hold_ns"] + columns["block_ns"]).max())
            for columns in batches(trace, ("time_ns", "hold_ns", "block_ns"))
        ),
        default=0,
    )


def _numbers_used(trace: Trace) -> dict[str, int]:
    """Return 1 + the largest number of each kind in `_LIMITS`."""
    used = {name: trace.maximum(name) + 1 for name in _LIMITS if name != "page"}
    return used | {"page": trace.count_page_numbers()}


def _join(trace: Trace, other: Trace, begin_ns: int, offsets: Mapping[str, int]) -> Iterator[Columns]:
    names = [name for name in BY_NAME if name in trace.columns or name in other.columns]
    for columns in batches(trace):
        yield _complete(columns, names)
    for found in batches(other):
        columns = _complete(found, names)
        columns["time_ns"] = columns["time_ns"] + begin_ns
        for name, offset in offsets.items():
            if name in columns:
                numbers = columns[name]
                columns[name] = np.where(numbers < 0, numbers, numbers + numbers.dtype.type(offset))
        yield columns


def _complete(found: Columns, names: Sequence[str]) -> Columns:
    """Return the columns `names`; an optional one that is not found is null."""
    rows = len(found["task"])
    return {
        name: found[name] if name in found else np.full(rows, NULL_VALUES[name], numpy_type(name))
        for name in names
    }


STEPS = (
    StepKind(
        NAME,
        Append.parse,
        "append=FILE[,tasks=fresh|same,pages=fresh|same,gap=0]",
        "append another trace after the end of this one, with new or the same tasks and pages",
    ),
)
