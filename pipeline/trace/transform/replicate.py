"""The step `replicate=4,share=0.5`: scale a trace up with concurrent copies of its tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UsageError
from pipeline.schema.trace import MAX_MAPPING, MAX_PAGE, MAX_TASKS, MAX_TIME_NS
from pipeline.trace.reader import Trace
from pipeline.trace.transform.step import (
    Columns,
    Outcome,
    StepKind,
    batches,
    begin_outcome,
    draw,
    mark_derived,
)
from pipeline.trace.transform.step_text import Parameters, duration_text

NAME = "replicate"
_MOST_CPUS = 1 << 15


@dataclass(frozen=True)
class Replicate:
    """Make `copies` of the trace; copy i starts i / copies * `over_ns` late (None: a tenth of the trace)."""

    copies: int
    share: float
    over_ns: int | None
    seed: int

    @classmethod
    def parse(cls, value: str, keys: Mapping[str, str]) -> Replicate:
        """Parse the step from a number of copies."""
        given = Parameters(NAME, value, keys, ("share", "over", "seed"))
        over_ns = given.duration_ns("over") if "over" in keys else None
        return cls(given.whole(NAME, 1), given.share("share", "0"), over_ns, given.whole("seed", 0, "0"))

    @property
    def text(self) -> str:
        """The step with all parameters, except a default `over`, which depends on the trace."""
        over = "" if self.over_ns is None else f",over={duration_text(self.over_ns)}"
        return f"{NAME}={self.copies},share={self.share:g}{over},seed={self.seed}"

    def apply(self, trace: Trace) -> Outcome:
        """Copy the rows. Raises UsageError if tasks, pages or CPUs exceed the limits of a trace."""
        last_ns = trace.maximum("time_ns")
        over_ns = last_ns // 10 if self.over_ns is None else self.over_ns
        cpus = trace.maximum("cpu") + 1 if trace.metadata.columns["cpu"] != "absent" else 0
        if trace.metadata.cpus is not None:
            cpus = max(cpus, trace.metadata.cpus)
        step_of = {
            "task": trace.maximum("task") + 1,
            "process": trace.maximum("process") + 1,
            "page": trace.count_page_numbers(),
            "cpu": cpus,
            "mapping": trace.maximum("mapping") + 1,
        }
        limits = {
            "task": MAX_TASKS,
            "process": MAX_TASKS,
            "page": MAX_PAGE,
            "cpu": _MOST_CPUS,
            "mapping": MAX_MAPPING,
        }
        for name, limit in limits.items():
            if step_of[name] * self.copies > limit:
                raise UsageError(
                    f"step {self.text}: {self.copies:,} copies of {step_of[name]:,} {name} numbers are more "
                    f"than the {limit:,} that a trace can have; use fewer copies, or sample the trace first"
                )
        if last_ns + over_ns >= MAX_TIME_NS:
            raise UsageError(f"step {self.text}: the copies would start after the maximum length of a trace")
        outcome = begin_outcome(trace, self._copy(trace, step_of, over_ns))
        if self.copies == 1:
            return outcome
        outcome.in_order = False
        outcome.columns = mark_derived(outcome.columns, ("time_ns", *step_of))
        if outcome.cpus is not None:
            outcome.cpus = cpus * self.copies
        # Each copy has the losses of the recording.
        if outcome.lost_events is not None:
            outcome.lost_events *= self.copies
        outcome.losses = {name: count * self.copies for name, count in outcome.losses.items()}
        outcome.notes.append(
            f"copy i starts i / {self.copies} * {over_ns:,} ns late, so fewer copies run at the begin and "
            "the end than in the middle"
        )
        return outcome

    def _copy(self, trace: Trace, step_of: Mapping[str, int], over_ns: int) -> Iterator[Columns]:
        first = 0
        for found in batches(trace):
            fresh = ~draw(found["page"], self.share, self.seed)
            for copy in range(self.copies):
                columns = dict(found)
                columns["time_ns"] = found["time_ns"] + over_ns * copy // self.copies
                columns["task"] = found["task"] + np.int32(step_of["task"] * copy)
                columns["process"] = found["process"] + np.int32(step_of["process"] * copy)
                columns["page"] = found["page"] + step_of["page"] * copy * fresh
                for name in ("cpu", "mapping"):
                    if name in found:
                        numbers = found[name]
                        moved = numbers + numbers.dtype.type(step_of[name] * copy)
                        columns[name] = np.where(numbers < 0, numbers, moved)
                columns["seq"] = np.arange(first, first + len(fresh), dtype=np.int64) + trace.rows * copy
                yield columns
            first += len(found["task"])


STEPS = (
    StepKind(
        NAME,
        Replicate.parse,
        "replicate=N[,share=0,over=TIME,seed=0]",
        "make N copies with their own tasks, processes and CPUs, with starts spread over TIME (default: a "
        "tenth of the trace); a share of the pages is common to all",
    ),
)
