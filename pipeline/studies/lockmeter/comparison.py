"""Simulated beside measured, figure by figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.errors import UsageError
from pipeline.io.numbers import format_number
from pipeline.studies.experiment import Experiment
from pipeline.studies.lockmeter.lockmeter_data import FIGURES, MAXIMA, LockmeterRow
from pipeline.studies.lockmeter.prediction import MODEL, Prediction, predict
from pipeline.studies.verdict import Column, Table, capitalize

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

    def describe_range(self) -> str:
        """Least and most over the seeds, as text."""
        known = [value for value in self.simulated if value is not None]
        return " .. ".join(format_figure(end) for end in (min(known), max(known))) if known else ""

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
    def comparable(self) -> list[Figure]:
        """The figures for which there is a ratio."""
        return [figure for figure in self.figures if figure.within is not None]

    def heading(self) -> str:
        """Which row this is, what was simulated for it, and with which loop and seeds."""
        manifest = self.predictions[0].manifest
        seeds = [prediction.seed for prediction in self.predictions]
        named = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]} (medians)"
        low = f", {' and '.join(manifest.lowmem)} in low memory" if manifest.lowmem else ""
        return (
            f"row {self.row.name}: {self.row.describe()}\n"
            f"simulated: {manifest.label} on {manifest.machine.name}, trace {manifest.trace.name}{low}, "
            f"{manifest.loop} loop, {named}"
        )

    def verdict(self) -> str:
        """How many figures are within the goal."""
        within = sum(bool(figure.within) for figure in self.comparable)
        return (
            f"row {self.row.name}: {within} of {len(self.comparable)} figures within the goal (means 15 %, "
            "maxima a factor of 2)"
        )

    def describe_totals(self) -> str:
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

    def describe_wall(self) -> str:
        """Say where the wall time comes from if the row does not give it; else empty."""
        interval_s = self.row.wall_interval_s()
        if self.row.wall_s is not None or interval_s is None:
            return ""
        return (
            f"wall time derived: {interval_s[0]:.1f} to {interval_s[1]:.1f} s agree with the row's own "
            "figures, each as precise as it was published"
        )

    def table(self) -> Table:
        """Every figure: site, figure, measured, simulated, range over several seeds, ratio, within."""
        columns: dict[str, Column] = {
            "site": "site",
            "figure": lambda figure: _LABELS[figure.name] + figure.note,
            "measured": lambda figure: format_figure(figure.measured),
            "simulated": lambda figure: format_figure(figure.middle),
            "over the seeds": Figure.describe_range,
            "simulated / measured": "ratio:.2f",
            "within": lambda figure: {True: "yes", False: "NO", None: "-"}[figure.within],
        }
        if len(self.predictions) == 1:
            del columns["over the seeds"]
        return Table.of(self.figures, columns)

    def text(self) -> str:
        """The comparison for the terminal."""
        after = [self.describe_totals(), self.describe_wall(), self.verdict()]
        lines = "".join(f"{line}\n" for line in after if line)
        return f"{self.heading()}\n{self.table().text()}{lines}"

    def markdown(self) -> str:
        """The comparison for a document."""
        first, second = self.heading().split("\n")
        parts = [
            f"### {capitalize(first)}",
            f"{capitalize(second)}.",
            self.table().markdown(),
            " ".join(
                f"{capitalize(text)}." for text in (self.describe_totals(), self.describe_wall()) if text
            ),
            f"**{capitalize(self.verdict())}.**",
        ]
        return "\n\n".join(parts) + "\n"


def compare(
    row: LockmeterRow,
    seeds: int = 1,
    model: Experiment = MODEL,
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


def format_figure(value: float | None) -> str:
    """Write a figure with three digits; a dash if there is none."""
    return format_number(value, 3) or "-"


def _spread(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"
