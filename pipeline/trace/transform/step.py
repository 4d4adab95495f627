"""What a step is: it takes a trace and gives rows, with what has become of the columns' provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pipeline.schema.trace import COLUMN_NAMES, MAX_TASKS
from pipeline.schema.trace_metadata import Provenance
from pipeline.trace.reader import Trace, numpy_column

# All columns of a trace, one array each and all of one length; -1 is null.
Columns = dict[str, np.ndarray]

DRAWN_FROM = 1 << 53


@dataclass
class Outcome:
    """What a step makes of a trace.

    `rows` are the new rows, batch by batch; `in_order` says whether they come sorted by time. Where they do
    not, `rows` has a further column `seq` (int64), which decides between rows of one task and time.
    `lost_events`, `losses` and `cpus` are as in TraceMetadata. `notes` may grow while `rows` is consumed.
    """

    rows: Iterator[Columns]
    columns: dict[str, Provenance]
    cpus: int | None
    lost_events: int | None
    losses: dict[str, int]
    in_order: bool = True
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StepKind:
    """A kind of step: its name, what makes it of its value and further keys, how it is written, what it does.

    `parse` raises UsageError for values that are not well formed.
    """

    name: str
    parse: Callable[[str, Mapping[str, str]], Step]
    usage: str
    meaning: str


class Step(Protocol):
    """One transformation with its parameters; `text` is how it is written in full on the command line."""

    @property
    def text(self) -> str:
        """The step with every parameter, defaults included."""

    def apply(self, trace: Trace) -> Outcome:
        """Transform `trace`, which may be read more than once. Raises UsageError where it does not fit."""


def begin_outcome(trace: Trace, rows: Iterator[Columns]) -> Outcome:
    """Outcome whose columns mean what they meant."""
    metadata = trace.metadata
    return Outcome(rows, dict(metadata.columns), metadata.cpus, metadata.lost_events, dict(metadata.losses))


def batches(trace: Trace, names: Iterable[str] = COLUMN_NAMES) -> Iterator[Columns]:
    """Rows of `trace`, batch by batch; the arrays may not be written to."""
    names = list(names)
    for batch in trace.batches(names):
        yield {name: numpy_column(batch, name) for name in names}


def select_rows(columns: Mapping[str, np.ndarray], keep: np.ndarray) -> Columns:
    """Rows where `keep` (bool [n]) is true, as copies."""
    return {name: values[keep] for name, values in columns.items()}


def mark_derived(columns: Mapping[str, Provenance], names: Iterable[str]) -> dict[str, Provenance]:
    """Provenance after `names` were computed anew: what was measured is derived, all else is what it was."""
    changed = set(names)
    return {
        name: "derived" if name in changed and found == "measured" else found
        for name, found in columns.items()
    }


def number_densely(used: np.ndarray) -> np.ndarray:
    """Number each that is `used` (bool [n]) densely from 0, in the same order; int32 [n]."""
    return (np.cumsum(used) - 1).astype(np.int32)


def draw(numbers: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Whether each number is drawn with probability `share`; the same number always alike, bool [n].

    A number's draw is a hash of it and the seed (the finaliser of SplitMix64: Steele, Lea and Flood, "Fast
    Splittable Pseudorandom Number Generators", OOPSLA 2014), so that it hangs on nothing else in the trace.
    """
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15 * (seed + 1) % (1 << 64))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)) < np.uint64(round(share * DRAWN_FROM))


def numbers_used(rows: Iterator[Columns]) -> tuple[np.ndarray, np.ndarray]:
    """Which task and process numbers occur in `rows`, bool [MAX_TASKS] each."""
    tasks, processes = np.zeros(MAX_TASKS, np.bool_), np.zeros(MAX_TASKS, np.bool_)
    for columns in rows:
        tasks[columns["task"]] = True
        processes[columns["process"]] = True
    return tasks, processes


def renumber(rows: Iterator[Columns], tasks: np.ndarray, processes: np.ndarray) -> Iterator[Columns]:
    """Rows with tasks and processes numbered densely, of those `numbers_used` found."""
    task_number, process_number = number_densely(tasks), number_densely(processes)
    for columns in rows:
        columns["task"] = task_number[columns["task"]]
        columns["process"] = process_number[columns["process"]]
        yield columns
