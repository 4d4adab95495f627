"""The step `stretch=2` (think and wait times) or `stretch=1,hold=0.5,block=4` (mappings): scale times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.errors import UsageError
from pipeline.jit.tables import Tables, records
from pipeline.schema.codes import PART_MAP, PART_UNMAP
from pipeline.schema.trace import MAX_TASKS, MAX_TIME_NS
from pipeline.trace.mapping_table import MappingTable
from pipeline.trace.reader import Trace
from pipeline.trace.transform.loops import LEVELS, SHIFT, move
from pipeline.trace.transform.step import Columns, Outcome, StepKind, batches, begin_outcome, mark_derived
from pipeline.trace.transform.step_text import Parameters

NAME = "stretch"


@dataclass(frozen=True)
class Stretch:
    """Factors of the four durations. Inside a mapping, `hold` scales CPU time and `block` all other time."""

    think: Fraction
    wait: Fraction
    hold: Fraction
    block: Fraction

    @classmethod
    def parse(cls, value: str, keys: Mapping[str, str]) -> Stretch:
        """Parse the step from a factor and the factors that differ from it."""
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
        """Scale the durations, rounded down, and move every begin by the change before it in its task.

        Time between two operations that is neither think nor wait (the time to map, in a recording) keeps its
        length. The begin of a task's first operation is scaled by the factor of `wait`.
        """
        if self == Stretch(*[Fraction(1)] * 4):
            return begin_outcome(trace, batches(trace))
        outcome = begin_outcome(trace, self._move(trace))
        outcome.in_order = False
        changed = [f"{name}_ns" for name in ("think", "wait", "hold", "block") if getattr(self, name) != 1]
        # Nested operations are scaled with their mapping.
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
        mappings = MappingTable("row", "time_ns")
        for found in batches(trace):
            columns = dict(found)
            inside = columns["depth"] > 0
            for name, nested in (("think", "hold"), ("wait", "block"), ("hold", "hold"), ("block", "block")):
                values = found[f"{name}_ns"]
                columns[f"{name}_ns"] = np.where(
                    inside, self._scale(values, nested), self._scale(values, name)
                )
            times = found["time_ns"].copy()
            map_row, least_ns = _limits(found, mappings, first)
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
                least_ns=least_ns,
                map_row=map_row,
            )
            move(rows, len(times), tasks)
            _note_times(found, mappings, first, times)
            if int(times.max(initial=0)) >= MAX_TIME_NS:
                raise self._too_long()
            columns["time_ns"] = times
            columns["seq"] = np.arange(first, first + len(times), dtype=np.int64)
            first += len(times)
            yield columns

    def _scale(self, values: np.ndarray, name: str) -> np.ndarray:
        """Scale values and round down, so sums of nested times stay below that of their mapping."""
        factor: Fraction = getattr(self, name)
        if factor == 1:
            return values
        if float(values.max(initial=0)) * float(factor) >= MAX_TIME_NS:
            raise self._too_long()
        whole, rest = np.divmod(values, factor.denominator)
        return whole * factor.numerator + rest * factor.numerator // factor.denominator

    def _too_long(self) -> UsageError:
        return UsageError(
            f"step {self.text}: the trace would be longer than the maximum of {MAX_TIME_NS / 3.6e12:.1f} "
            "hours; use smaller factors, or apply a window first"
        )


def _limits(columns: Columns, mappings: MappingTable, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of each row: the row of these that maps what it unmaps, or -1, and a time.

    Adds the mappings of these rows, the first of which is row `first` of the trace.
    """
    count = len(columns["task"])
    map_row, least_ns = np.full(count, -1), np.full(count, -1)
    if "part" in columns and "mapping" in columns:
        maps, unmaps = (np.flatnonzero(columns["part"] == part) for part in (PART_MAP, PART_UNMAP))
        mapping = columns["mapping"]
        mappings.add(mapping=mapping[maps], row=first + maps, time_ns=columns["time_ns"][maps])
        at = mappings.find(mapping[unmaps])
        unmaps, at = unmaps[at >= 0], at[at >= 0]
        row = mappings["row"][at] - first
        row[row >= unmaps] = -1
        map_row[unmaps] = np.maximum(row, -1)
        least_ns[unmaps] = np.where(row < 0, mappings["time_ns"][at], -1)
    return map_row, least_ns


def _note_times(columns: Columns, mappings: MappingTable, first: int, times: np.ndarray) -> None:
    """Set the times of the mappings that these rows map, and remove those that they unmap."""
    if "part" in columns and "mapping" in columns:
        new = mappings["row"] >= first
        mappings["time_ns"][new] = times[mappings["row"][new] - first]
        at = mappings.find(columns["mapping"][columns["part"] == PART_UNMAP])
        mappings.remove(at[at >= 0])


STEPS = (
    StepKind(
        NAME,
        Stretch.parse,
        "stretch=FACTOR[,think=,wait=,hold=,block=]",
        "multiply think and wait by FACTOR; each can have its own factor (hold and block: 1 by default)",
    ),
)
