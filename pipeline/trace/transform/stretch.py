"""Stretch or shorten times: `stretch=2` for think and wait, `stretch=1,hold=0.5,block=4` for the mappings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.errors import UsageError
from pipeline.jit.tables import Tables, records
from pipeline.schema.trace import MAX_TASKS, MAX_TIME_NS
from pipeline.trace.reader import Trace
from pipeline.trace.transform.loops import LEVELS, SHIFT, move
from pipeline.trace.transform.step import Columns, Outcome, StepKind, batches, begin_outcome, mark_derived
from pipeline.trace.transform.step_text import Parameters

NAME = "stretch"


@dataclass(frozen=True)
class Stretch:
    """Factors of the four durations. Inside a mapping all CPU time goes by `hold`, all else by `block`."""

    think: Fraction
    wait: Fraction
    hold: Fraction
    block: Fraction

    @classmethod
    def parse(cls, value: str, keys: Mapping[str, str]) -> Stretch:
        """Make the step of a factor and those that differ from it."""
        given = Parameters(NAME, value, keys, ("think", "wait", "hold", "block"))
        given.factor(NAME)
        return cls(
            given.factor("think", value), given.factor("wait", value), given.factor("hold", "1"),
            given.factor("block", "1"),
        )  # fmt: skip

    @property
    def text(self) -> str:
        """The step with all four factors."""
        factors = {name: getattr(self, name) for name in ("think", "wait", "hold", "block")}
        return f"{NAME}={float(self.think):g}," + ",".join(f"{n}={float(f):g}" for n, f in factors.items())

    def apply(self, trace: Trace) -> Outcome:
        """Change the durations, rounded down, and move every begin by what passes before it in its task.

        What lies between two operations and is neither think nor wait (being mapped, in a recording) keeps
        its length; when a task's first operation begins goes by the factor of `wait`.
        """
        if self == Stretch(*[Fraction(1)] * 4):
            return begin_outcome(trace, batches(trace))
        outcome = begin_outcome(trace, self._move(trace))
        outcome.in_order = False
        changed = [f"{name}_ns" for name in ("think", "wait", "hold", "block") if getattr(self, name) != 1]
        # what is nested is stretched with its mapping
        changed += ["think_ns"] * (self.hold != 1) + ["wait_ns"] * (self.block != 1) + ["time_ns"]
        outcome.columns = mark_derived(outcome.columns, changed)
        return outcome

    def _move(self, trace: Trace) -> Iterator[Columns]:
        tasks = Tables(
            checked=False,
            shifts=records(MAX_TASKS * LEVELS, SHIFT),
            latest=np.zeros(MAX_TASKS, np.int64),
        )
        first = 0
        for found in batches(trace):
            columns = dict(found)
            inside = columns["depth"] > 0
            for name, nested in (("think", "hold"), ("wait", "block"), ("hold", "hold"), ("block", "block")):
                values = found[f"{name}_ns"]
                columns[f"{name}_ns"] = np.where(
                    inside, self._scale(values, nested), self._scale(values, name)
                )
            times = found["time_ns"].copy()
            rows = Tables(
                checked=False,
                time_ns=times,
                task=found["task"],
                depth=found["depth"],
                start=self._scale(found["time_ns"], "wait"),
                before=found["think_ns"] + found["wait_ns"],
                after=columns["think_ns"] + columns["wait_ns"],
                used_before=found["hold_ns"] + found["block_ns"],
                used_after=columns["hold_ns"] + columns["block_ns"],
            )
            move(rows, len(times), tasks)
            if int(times.max(initial=0)) >= MAX_TIME_NS:
                raise self._too_long()
            columns["time_ns"] = times
            columns["seq"] = np.arange(first, first + len(times), dtype=np.int64)
            first += len(times)
            yield columns

    def _scale(self, values: np.ndarray, name: str) -> np.ndarray:
        """Values times a factor, rounded down: sums of nested times stay below that of their mapping."""
        factor: Fraction = getattr(self, name)
        if factor == 1:
            return values
        if float(values.max(initial=0)) * float(factor) >= MAX_TIME_NS:
            raise self._too_long()
        whole, rest = np.divmod(values, factor.denominator)
        return whole * factor.numerator + rest * factor.numerator // factor.denominator

    def _too_long(self) -> UsageError:
        return UsageError(
            f"step {self.text}: the trace would be longer than the {MAX_TIME_NS / 3.6e12:.1f} hours that a "
            "trace can span; take smaller factors or a window first"
        )


STEPS = (
    StepKind(
        NAME,
        Stretch.parse,
        "stretch=FACTOR[,think=,wait=,hold=,block=]",
        "think and wait times FACTOR; each can have its own, hold and block are 1 unless given",
    ),
)
