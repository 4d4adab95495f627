"""Compare simulated with measured figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from pipeline.errors import UsageError
from pipeline.io.numbers import format_number
from pipeline.studies.experiment import Experiment
from pipeline.studies.lockmeter.implied import Implied, imply, simulated
from pipeline.studies.lockmeter.interval import Interval
from pipeline.studies.lockmeter.lockmeter_data import FIGURES, MAXIMA, LockmeterRow, is_calibrated
from pipeline.studies.lockmeter.prediction import MODEL, Prediction, predict_all, workload_of
from pipeline.studies.table import Column, Table, capitalize

# Goals for means and implied figures of fitted rows and of predicted rows, and for maxima of both.
FITTED_FACTOR = 1.15
PREDICTED_FACTOR = 1.25
MAXIMUM_FACTOR = 2.0
WALL = "wall_s"
IMPLIED = ("flushes", "misses", "map_own_us", "unmap_own_us", "wait_s")
_PASS = ("map", "hold_max_us")
_OWN_HOLDS = (("implied", "map_own_us"), ("unmap", "hold_mean_us"))
"""Figures that do not depend on the workload: the longest pass, and holds if few CPUs spin."""
_QUIET_PERCENT = 5.0
"""With a larger percentage of contended acquisitions, holds depend on the spinning CPUs."""

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
    "flushes": "global flushes",
    "misses": "misses",
    "map_own_us": "HOLD of a map without passes us",
    "unmap_own_us": "HOLD of an unmap us",
    "wait_s": "total wait s",
}


@dataclass(frozen=True)
class Figure:
    """A figure: measured (None: unknown), and simulated with each seed (None: undefined).

    An implied figure is an interval. It is compared by the value in it that is nearest to the simulated one.
    """

    site: str
    name: str
    measured: float | Interval | None
    simulated: tuple[float | None, ...]
    note: str = ""
    mean_factor: float = FITTED_FACTOR

    @property
    def middle(self) -> float | None:
        """Mean over the seeds; None if undefined with any of them."""
        known = [value for value in self.simulated if value is not None]
        return fmean(known) if len(known) == len(self.simulated) else None

    def describe_range(self) -> str:
        """Minimum and maximum over the seeds, as text."""
        known = [value for value in self.simulated if value is not None]
        return " .. ".join(format_figure(end) for end in (min(known), max(known))) if known else ""

    def describe_measured(self) -> str:
        """The measured figure or interval, as text."""
        if isinstance(self.measured, Interval):
            return f"{format_figure(self.measured.low)} .. {format_figure(self.measured.high)}"
        return format_figure(self.measured)

    @property
    def ratio(self) -> float | None:
        """Simulated / measured; None if either is unknown or the measured figure is 0."""
        middle, measured = self.middle, self.measured
        if middle is not None and isinstance(measured, Interval):
            measured = measured.nearest(middle)
        assert not isinstance(measured, Interval)
        return middle / measured if middle is not None and measured else None

    @property
    def factor(self) -> float:
        """Largest factor by which the ratio may differ from 1."""
        return MAXIMUM_FACTOR if self.name in MAXIMA else self.mean_factor

    @property
    def within(self) -> bool | None:
        """Whether the ratio meets the goal; None if there is no ratio."""
        ratio = self.ratio
        return None if ratio is None else 1.0 / self.factor <= ratio <= self.factor

    @property
    def misfit(self) -> float:
        """Distance of the ratio from 1 in units of the goal: |ln(ratio) / ln(factor)|; 0 if unknown."""
        ratio = self.ratio
        if ratio is None:
            return 0.0
        return abs(math.log(ratio)) / math.log(self.factor) if ratio > 0.0 else math.inf


@dataclass(frozen=True)
class Comparison:
    """A row compared with the model's predictions for its configuration."""

    row: LockmeterRow
    predictions: tuple[Prediction, ...]
    figures: tuple[Figure, ...]
    implied: Implied | None = None
    workload_is_known: bool = True

    @property
    def comparable(self) -> list[Figure]:
        """Figures with a ratio."""
        return [figure for figure in self.figures if figure.within is not None]

    def heading(self) -> str:
        """Describe the row and its simulation, in two lines."""
        manifest = self.predictions[0].manifest
        seeds = [prediction.seed for prediction in self.predictions]
        named = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]} (means)"
        low = f", {' and '.join(manifest.lowmem)} in low memory" if manifest.lowmem else ""
        return (
            f"row {self.row.name}: {self.row.describe()}\n"
            f"simulated: {manifest.label} on {manifest.machine.name}, trace {manifest.trace.name}{low}, "
            f"{manifest.loop} loop, {named}"
        )

    @property
    def mean_factor(self) -> float:
        """Goal for means, which depends on whether the row was fitted."""
        return FITTED_FACTOR if is_calibrated(self.row) else PREDICTED_FACTOR

    def verdict(self) -> str:
        """Count the figures that meet the goal."""
        within = sum(bool(figure.within) for figure in self.comparable)
        return (
            f"row {self.row.name}: {within} of {len(self.comparable)} figures meet the goal (means within "
            f"{100 * (self.mean_factor - 1):.0f} %, maxima within a factor of 2)"
        )

    def describe_totals(self) -> str:
        """Describe simulated figures that are not in the row."""
        totals = [prediction.manifest.totals for prediction in self.predictions]
        flushes = _spread([t.flushes for t in totals], "{:,.0f}")
        hits = _spread([100.0 * t.hits / max(t.hits + t.misses, 1) for t in totals], "{:.1f}")
        sleeps = _spread([t.sleeps for t in totals], "{:,.0f}")
        mapped = _spread([t.max_mapped for t in totals], "{:,.0f}")
        return (
            f"simulated, but not in the row: {flushes} global flushes, {hits} % hits, {sleeps} sleeps, "
            f"at most {mapped} simultaneous mappings"
        )

    def describe_wall(self) -> str:
        """Describe how the wall-clock time is derived; "" if the row has it."""
        wall_s = self.row.wall()
        if self.row.wall_s is not None or wall_s is None:
            return ""
        return (
            f"the wall-clock time is derived: {wall_s.low:.1f} to {wall_s.high:.1f} s agree with the row's "
            "figures, given their published precision"
        )

    def describe_workload(self) -> str:
        """Describe what is compared if the row's workload is unknown; "" if it is known."""
        if self.workload_is_known:
            return ""
        compared = "the longest pass with its flush"
        if not _is_loud(self.row):
            compared = f"holds without a pass and {compared}"
        return (
            f"the workload '{self.row.workload}' is unknown, so only figures that do not depend on it are "
            f"compared: {compared}; to predict the row, describe its workload in a .toml file and name the "
            "file in the column `workload`"
        )

    def _after(self) -> list[str]:
        """Sentences below the table."""
        return [
            text
            for text in (
                self.implied.text() if self.implied else "",
                self.describe_workload(),
                self.describe_totals() if self.workload_is_known else "",
                self.describe_wall(),
            )
            if text
        ]

    def table(self) -> Table:
        """Tabulate every figure: site, figure, measured, simulated, range over several seeds, ratio, goal."""
        columns: dict[str, Column] = {
            "site": "site",
            "figure": lambda figure: _LABELS[figure.name] + figure.note,
            "measured": Figure.describe_measured,
            "simulated": lambda figure: format_figure(figure.middle),
            "range over seeds": Figure.describe_range,
            "simulated / measured": "ratio:.2f",
            "meets goal": lambda figure: {True: "yes", False: "NO", None: "-"}[figure.within],
        }
        if len(self.predictions) == 1:
            del columns["range over seeds"]
        return Table.of(self.figures, columns)

    def text(self) -> str:
        """Render the comparison for the terminal."""
        lines = "".join(f"{line}\n" for line in (*self._after(), self.verdict()))
        return f"{self.heading()}\n{self.table().text()}{lines}"

    def markdown(self) -> str:
        """Render the comparison as Markdown."""
        first, second = self.heading().split("\n")
        parts = [
            f"### {capitalize(first)}",
            f"{capitalize(second)}.",
            self.table().markdown(),
            " ".join(f"{capitalize(text)}." for text in self._after()),
            f"**{capitalize(self.verdict())}.**",
        ]
        return "\n\n".join(parts) + "\n"


def compare(row: LockmeterRow, seeds: int = 1, model: Experiment = MODEL) -> Comparison:
    """Simulate a row's configuration with seeds 0 to `seeds` - 1 and compare the result with the row.

    Raises UsageError for an invalid number of seeds.
    """
    return compare_all([(row, model)], seeds)[0]


def compare_all(cases: Sequence[tuple[LockmeterRow, Experiment]], seeds: int = 1) -> list[Comparison]:
    """Compare several rows and models, on all CPUs; see `compare`."""
    if not 1 <= seeds <= 1000:
        raise UsageError(f"seeds must be 1 to 1000, found {seeds}")
    known = [workload_of(row, model) for row, model in cases]
    found = predict_all(
        [
            (row, seed, replace(model, workload=workload or model.workload))
            for (row, model), workload in zip(cases, known, strict=True)
            for seed in range(seeds)
        ]
    )
    return [
        _beside(row, tuple(found[i * seeds : (i + 1) * seeds]), workload is not None)
        for i, ((row, _), workload) in enumerate(zip(cases, known, strict=True))
    ]


def _beside(row: LockmeterRow, predictions: tuple[Prediction, ...], known: bool) -> Comparison:
    implied = imply(row)
    found = figures(row, predictions, implied)
    if not known:
        kept = (_PASS,) if _is_loud(row) else (*_OWN_HOLDS, _PASS)
        found = tuple(figure for figure in found if (figure.site, figure.name) in kept)
    return Comparison(row, predictions, found, implied, known)


def _is_loud(row: LockmeterRow) -> bool:
    shares = [figures.contended_pct for figures in row.sites.values()]
    return any(share is None or share > _QUIET_PERCENT for share in shares)


def figures(
    row: LockmeterRow, predictions: Sequence[Prediction], implied: Implied | None
) -> tuple[Figure, ...]:
    """Measured and simulated figures of a row: those of its sites, its wall-clock time and implied ones."""
    factor = FITTED_FACTOR if is_calibrated(row) else PREDICTED_FACTOR
    found = [
        Figure(
            site,
            name,
            getattr(measured, name),
            tuple(getattr(prediction.sites[site], name) for prediction in predictions),
            mean_factor=factor,
        )
        for site, measured in row.sites.items()
        for name in FIGURES
    ]
    wall_s, note = row.wall_s, ""
    between_s = row.wall()
    if wall_s is None and between_s is not None:
        wall_s = (between_s.low + between_s.high) / 2
        note = " (derived)"
    walls_s = tuple(prediction.wall_s for prediction in predictions)
    found.append(Figure("-", WALL, wall_s, walls_s, note, factor))
    if implied is not None:
        of_seeds = [simulated(prediction.manifest.totals) for prediction in predictions]
        found += [
            Figure(
                "implied",
                name,
                getattr(implied, name),
                tuple(of_seed[name] for of_seed in of_seeds),
                mean_factor=factor,
            )
            for name in IMPLIED
        ]
    return tuple(found)


def format_figure(value: float | None) -> str:
    """Format a figure with three digits, or as a dash if there is none."""
    return format_number(value, 3) or "-"


def _spread(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"
