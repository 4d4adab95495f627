"""Simulated beside measured, figure by figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.errors import UsageError
from pipeline.io.numbers import format_number
from pipeline.io.tables import align_columns, markdown_table
from pipeline.studies.lockmeter.lockmeter_data import FIGURES, MAXIMA, LockmeterRow
from pipeline.studies.lockmeter.prediction import LOOP, MACHINE, WORKLOAD, Model, Prediction, predict

# The goal for the rows that the model was calibrated on: means within 15 %, maxima within a factor of 2.
MEAN_FACTOR = 1.15
MAXIMUM_FACTOR = 2.0
WALL = "wall_s"

_LABELS = {
    "util_pct": "UTIL %",
    "contended_pct": "CON %",
    "hold_mean_us": "HOLD mean us",
    "hold_max_us": "HOLD max us",
    "wait_mean_us": "WAIT mean us",
    "wait_max_us": "WAIT max us",
    "wait_cpu_pct": "%CPU spinning",
    "acquisitions": "acquisitions",
    WALL: "wall s",
}


@dataclass(frozen=True)
class Figure:
    """One figure: measured (None: not known), and simulated with each seed (None: undefined there)."""

    site: str
    name: str
    measured: float | None
    simulated: tuple[float | None, ...]
    note: str = ""

    @property
    def middle(self) -> float | None:
        """Median over the seeds; None if it is undefined with any of them."""
        known = [value for value in self.simulated if value is not None]
        return median(known) if len(known) == len(self.simulated) else None

    @property
    def ratio(self) -> float | None:
        """Simulated / measured; None if either is unknown or nothing was measured."""
        middle = self.middle
        return middle / self.measured if middle is not None and self.measured else None

    @property
    def factor(self) -> float:
        """How far the ratio may be from 1, up or down."""
        return MAXIMUM_FACTOR if self.name in MAXIMA else MEAN_FACTOR

    @property
    def within(self) -> bool | None:
        """Whether the ratio is as near to 1 as the goal wants; None if there is no ratio."""
        ratio = self.ratio
        return None if ratio is None else 1.0 / self.factor <= ratio <= self.factor

    @property
    def misfit(self) -> float:
        """How far the ratio is off in units of the goal: ln(ratio) / ln(factor), unsigned; 0 if unknown."""
        ratio = self.ratio
        if ratio is None:
            return 0.0
        return abs(math.log(ratio)) / math.log(self.factor) if ratio > 0.0 else math.inf


@dataclass(frozen=True)
class Comparison:
    """A row beside what the model says of its configuration."""

    row: LockmeterRow
    predictions: tuple[Prediction, ...]
    figures: tuple[Figure, ...]

    @property
    def judged(self) -> list[Figure]:
        """The figures for which there is a ratio."""
        return [figure for figure in self.figures if figure.within is not None]

    def heading(self) -> str:
        """Which row this is, what was simulated for it, and with which loop and seeds."""
        manifest = self.predictions[0].manifest
        seeds = [prediction.seed for prediction in self.predictions]
        named = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]} (medians)"
        low = f", {' and '.join(manifest.lowmem)} in low memory" if manifest.lowmem else ""
        return (
            f"row {self.row.name}: {self.row.described()}\n"
            f"simulated: {manifest.label} on {manifest.machine.name}, trace {manifest.trace.name}{low}, "
            f"{manifest.loop} loop, {named}"
        )

    def verdict(self) -> str:
        """How many figures are within the goal."""
        within = sum(bool(figure.within) for figure in self.judged)
        return (
            f"row {self.row.name}: {within} of {len(self.judged)} figures within the goal (means 15 %, "
            "maxima a factor of 2)"
        )

    def beside(self) -> str:
        """What the row does not say, simulated."""
        totals = [prediction.manifest.totals for prediction in self.predictions]
        flushes = _spread([t.flushes for t in totals], "{:,.0f}")
        hits = _spread([100.0 * t.hits / max(t.hits + t.misses, 1) for t in totals], "{:.1f}")
        sleeps = _spread([t.sleeps for t in totals], "{:,.0f}")
        mapped = _spread([t.max_mapped for t in totals], "{:,.0f}")
        return (
            f"not in the row, simulated: {flushes} global flushes, {hits} % hits, {sleeps} sleeps, "
            f"at most {mapped} mapped at once"
        )

    def wall_derived(self) -> str:
        """Say where the wall time comes from if the row does not give it; else empty."""
        interval_s = self.row.wall_interval_s()
        if self.row.wall_s is not None or interval_s is None:
            return ""
        return (
            f"wall time derived: {interval_s[0]:.1f} to {interval_s[1]:.1f} s agree with the row's own "
            "figures, each as precise as it was published"
        )

    def cells(self) -> list[tuple[str, ...]]:
        """The table's rows as text: site, figure, measured, simulated, range, ratio, within."""
        several = len(self.predictions) > 1
        rows = []
        for figure in self.figures:
            known = [value for value in figure.simulated if value is not None]
            ends = (min(known), max(known)) if several and known else ()
            spread = " .. ".join(format_number(end, 3) for end in ends)
            rows.append(
                (
                    figure.site,
                    _LABELS[figure.name] + figure.note,
                    format_number(figure.measured, 3) or "-",
                    format_number(figure.middle, 3) or "-",
                    *([spread] if several else []),
                    "-" if figure.ratio is None else f"{figure.ratio:.2f}",
                    {True: "yes", False: "NO", None: "-"}[figure.within],
                )
            )
        return rows

    def head(self) -> tuple[str, ...]:
        """The table's head."""
        spread = ("over the seeds",) if len(self.predictions) > 1 else ()
        return ("site", "figure", "measured", "simulated", *spread, "simulated / measured", "within")

    def text(self) -> str:
        """The comparison for the terminal."""
        derived = self.wall_derived()
        return "\n".join(
            [
                self.heading(),
                align_columns([self.head(), *self.cells()]) + self.beside(),
                *([derived] if derived else []),
                self.verdict(),
                "",
            ]
        )

    def markdown(self) -> str:
        """The comparison for a document."""
        first, second = self.heading().split("\n")
        derived = self.wall_derived()
        parts = [
            f"### {_sentence(first, end='')}",
            _sentence(second),
            markdown_table(self.head(), self.cells()).rstrip(),
            " ".join(_sentence(text) for text in (self.beside(), derived) if text),
            f"**{_sentence(self.verdict())}**",
        ]
        return "\n\n".join(parts) + "\n"


def compare(
    row: LockmeterRow,
    seeds: int = 1,
    model: Model | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> Comparison:
    """Simulate a row's configuration with seeds 0 to `seeds` - 1 and put the result beside the row.

    `done(1)` is called after each simulation. Raises UsageError for a number of seeds that is not.
    """
    if not 1 <= seeds <= 1000:
        raise UsageError(f"seeds wants 1 to 1000, found {seeds}")
    predictions = []
    for seed in range(seeds):
        predictions.append(predict(row, seed, model))
        done(1)
    return Comparison(row, tuple(predictions), figures(row, predictions))


def figures(row: LockmeterRow, predictions: Sequence[Prediction]) -> tuple[Figure, ...]:
    """Every figure of a row's sites, and its wall time, measured beside simulated."""
    found = [
        Figure(
            site,
            name,
            getattr(measured, name),
            tuple(getattr(prediction.sites[site], name) for prediction in predictions),
        )
        for site, measured in row.sites.items()
        for name in FIGURES
    ]
    wall_s, note = row.wall_s, ""
    interval_s = row.wall_interval_s()
    if wall_s is None and interval_s is not None:
        wall_s = sum(interval_s) / 2
        note = " (derived)"
    found.append(Figure("-", WALL, wall_s, tuple(prediction.wall_s for prediction in predictions), note))
    return tuple(found)


def model_described(model: Model | None = None) -> str:
    """Which profile and workload the predictions come from."""
    model = model or Model(MACHINE, WORKLOAD)
    return f"profile {model.machine}, workload {model.workload}, {LOOP} loop"


def _sentence(text: str, end: str = ".") -> str:
    return text[0].upper() + text[1:] + end


def _spread(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"
