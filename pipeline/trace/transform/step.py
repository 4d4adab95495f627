"""The interface of a step: it takes a trace and returns rows with the provenance of their columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pipeline.errors import InputError
from pipeline.schema.trace import MAX_TASKS, RANGES
from pipeline.schema.trace_metadata import Provenance
from pipeline.trace.reader import Trace, numpy_column

# Columns of a trace, as arrays of equal length, with NULL_VALUES for null.
Columns = dict[str, np.ndarray]

DRAWN_FROM = 1 << 53


@dataclass
class Outcome:
    """Result of a step.

    `rows` are the new rows, batch by batch. `in_order` tells whether they are sorted by time. If not, `rows`
    has an additional column `seq` (int64) that orders rows of the same task and time. `lost_events`, `losses`
    and `cpus` are as in TraceMetadata. `notes` can grow while `rows` is consumed.
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
    """A kind of step: its name, the function that parses its value and keys, its syntax and its effect.

    `parse` raises UsageError for malformed values.
    """

    name: str
    parse: Callable[[str, Mapping[str, str]], Step]
    usage: str
    meaning: str


class Step(Protocol):
    """A transformation with its parameters. `text` is its full syntax on the command line."""

    @property
    def text(self) -> str:
        """The step with every parameter, defaults included."""

    def apply(self, trace: Trace) -> Outcome:
        """Transform `trace`, which can be read repeatedly. Raises UsageError if the step does not fit it."""


def begin_outcome(trace: Trace, rows: Iterator[Columns]) -> Outcome:
    """Return an outcome with the metadata of `trace`."""
    metadata = trace.metadata
    return Outcome(rows, dict(metadata.columns), metadata.cpus, metadata.lost_events, dict(metadata.losses))


def batches(trace: Trace, names: Sequence[str] | None = None) -> Iterator[Columns]:
    """Yield the rows of `trace`, batch by batch, as read-only arrays.

    `names` are the columns (default: all); optional ones that the trace lacks are left out. Raises InputError
    for a number out of range and for times that are not in order.
    """
    row, last_ns = 0, 0
    for batch in trace.batches(names):
        columns = {name: numpy_column(batch, name) for name in batch.schema.names}
        for name, (least, most) in RANGES.items():
            if name not in columns:
                continue
            low, high = int(columns[name].min(initial=least)), int(columns[name].max(initial=most))
            if low < least or high > most:
                raise _invalid(trace, f"column {name} contains {low if low < least else high:,}")
        if "time_ns" in columns:
            times = columns["time_ns"]
            if times[0] < last_ns or (times[1:] < times[:-1]).any():
                raise _invalid(trace, f"rows {row:,} to {row + len(times) - 1:,} are not in order of time_ns")
            last_ns = int(times[-1])
        row += batch.num_rows
        yield columns


def _invalid(trace: Trace, found: str) -> InputError:
    return InputError(
        f"{trace.path}: expected a valid trace, but {found}; 'pipeline doctor {trace.path}' lists all "
        "problems"
    )


def select_rows(columns: Mapping[str, np.ndarray], keep: np.ndarray) -> Columns:
    """Return copies of the rows where `keep` (bool [n]) is true."""
    return {name: values[keep] for name, values in columns.items()}


def mark_derived(columns: Mapping[str, Provenance], names: Iterable[str]) -> dict[str, Provenance]:
    """Return the provenance after `names` were recomputed: measured becomes derived, others stay."""
    changed = set(names)
    return {
        name: "derived" if name in changed and found == "measured" else found
        for name, found in columns.items()
    }


def number_densely(used: np.ndarray) -> np.ndarray:
    """Number the entries that are `used` (bool [n]) densely from 0, in the same order; int32 [n]."""
    return (np.cumsum(used) - 1).astype(np.int32)


def draw(numbers: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draw each number with probability `share`, the same number always with the same result; bool [n].

    A number's draw is a hash of it and the seed (the finaliser of SplitMix64: Steele, Lea and Flood, "Fast
    Splittable Pseudorandom Number Generators", OOPSLA 2014), so it depends on nothing else in the trace.
    """
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15 * (seed + 1) % (1 << 64))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)) < np.uint64(round(share * DRAWN_FROM))


def numbers_used(rows: Iterator[Columns]) -> tuple[np.ndarray, np.ndarray]:
    """Return which task and process numbers occur in `rows`, bool [MAX_TASKS] each."""
    tasks, processes = np.zeros(MAX_TASKS, np.bool_), np.zeros(MAX_TASKS, np.bool_)
    for columns in rows:
        tasks[columns["task"]] = True
        processes[columns["process"]] = True
    return tasks, processes


def renumber(rows: Iterator[Columns], tasks: np.ndarray, processes: np.ndarray) -> Iterator[Columns]:
    """Yield rows with dense task and process numbers; `tasks` and `processes` are from `numbers_used`."""
    task_number, process_number = number_densely(tasks), number_densely(processes)
    for columns in rows:
        columns["task"] = task_number[columns["task"]]
        columns["process"] = process_number[columns["process"]]
        yield columns
