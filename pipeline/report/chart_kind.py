"""What a kind of chart is: what it wants of an item, what it draws, and what it says in words.

Each file in `charts/` is a kind. Bounds are neutral lines to measure by; an axis is made for the designs,
and a bound far beyond it is named instead of drawn.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import altair as alt
import polars as pl

from pipeline.io.numbers import format_number
from pipeline.report import vega
from pipeline.report.definition import Item
from pipeline.report.document import Block, Chart, Spec
from pipeline.report.styles import RunStyles, part_colours
from pipeline.report.vega import Plot
from pipeline.runs.store import Run

NO_LOG = "No run has a log, and the totals do not tell."


class ChartKind(ABC):
    """One kind of chart; a kind defines `draws`, and `draw` and `describe` or a `fill` of its own."""

    draws: ClassVar[str]
    """What it draws, for the table in docs/report.md."""
    requires: ClassVar[tuple[str, ...]] = ("x",)
    """Fields that an item must have."""
    columns: ClassVar[tuple[str, ...]] = ()
    """Columns that the query must have besides those that the item names."""
    measure: ClassVar[str] = "x"
    """Field that names the measured column, "" for none; runs whose every value there is 0 are left out."""
    axis_for_allocators: ClassVar[bool] = False
    """Whether the axis of the measure may end before a bound does."""
    over_time: ClassVar[bool] = False
    """Whether runs share an axis of time, which one that takes many times as long would squeeze."""
    of_replications: ClassVar[bool] = False
    """Whether it is made of all runs, where others are made of the first replication of each design."""
    legend: ClassVar[bool] = False
    """Whether a legend names the runs."""
    wants_two: ClassVar[bool] = False
    """Whether it has a mark for each run, so that one run is said in words."""
    bounds_alone: ClassVar[bool] = False
    """Whether it is worth showing when only bounds have rows."""

    def draw(self, plot: Plot) -> alt.Chart | alt.LayerChart:
        """Draw the rows of `plot`, which are not empty."""
        raise NotImplementedError

    def describe(self, plot: Plot) -> str:
        """Say what the chart shows of one run, whose rows are those of `plot`."""
        raise NotImplementedError

    def select(self, item: Item, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows to show: those that `where` asks for, of runs whose measure is somewhere there and not 0."""
        rows = frame
        for name, value in item.where.items():
            rows = rows.filter(pl.col(name) == value)
        if measure := self.measure and getattr(item, self.measure):
            worth = rows.filter(pl.col(measure).fill_null(0) != 0)["run"].unique().to_list()
            rows = rows.filter(pl.col("run").is_in(worth))
        return rows

    def show(self, block: Block, styles: RunStyles, runs: Sequence[Run]) -> None:
        """Put into `block` what is shown of its rows, or why there is nothing to show.

        `runs` are those that were asked.
        """
        plot = Plot(block.item, self.select(block.item, block.frame), styles)
        if plot.allocators or (plot.runs and self.bounds_alone):
            block.left_out = " ".join(self._explain_left_out(block, plot, runs))
            if self.wants_two and len(plot.runs) == 1:
                # A single mark is no comparison: its value is said in words.
                own = f"{plot.styles.label(plot.runs[0])}: {self.describe(plot)}."
                block.empty, block.left_out = f"{own} {block.left_out}".rstrip(), ""
            else:
                self.fill(block, plot, runs)
        elif block.query.reads_log and block.frame.is_empty() and not any(run.has_log for run in runs):
            block.empty = NO_LOG
        elif plot.runs:
            bounds = ", ".join(map(styles.label, plot.runs))
            block.empty = f"{block.item.empty.removesuffix('.')}, but for {bounds}."
        else:
            block.empty = block.item.empty

    def fill(self, block: Block, plot: Plot, _runs: Sequence[Run]) -> None:
        """Add the charts to `block`, one or one for each value of the facet, and what explains them."""
        item = plot.item
        if item.facet:
            for facet in plot.rows[item.facet].unique(maintain_order=True).sort().to_list():
                fields = {"run": plot.runs, item.facet: facet}
                # Drawn over all rows, so that charts beside one another share their axes.
                block.charts.append(self.chart(plot, fields, str(facet or ""), plot.where(item.facet, facet)))
        else:
            block.charts.append(self.chart(plot, {"run": plot.runs}))
        block.legend = plot.runs if self.legend else []
        if item.series:
            block.parts = list(part_colours(plot.parts).items())

    def chart(self, plot: Plot, fields: dict[str, Any], title: str = "", part: Plot | None = None) -> Chart:
        """Make a chart that draws only the rows with these `fields`, on axes for all; `part` has them."""
        spec = self.specify(plot)
        vega.add_filters(spec, fields)
        return Chart(title, spec, self.alt_text(part or plot, title))

    def specify(self, plot: Plot) -> Spec:
        """Make the specification, without the data, which the page adds."""
        return vega.finish(plot.item, self.draw(plot))

    def alt_text(self, plot: Plot, facet: str = "") -> str:
        """Describe the chart to a reader who cannot see it: its values, run by run."""
        runs = [f"{plot.styles.label(r)}: {self.describe(plot.where('run', r))}" for r in plot.runs]
        title = f"{plot.item.title}, {facet}" if facet else plot.item.title
        return f"{title}. {'; '.join(runs)}."

    def bounds_beyond(self, plot: Plot) -> list[str]:
        """Bounds that the axis does not reach, with their values."""
        if not self.axis_for_allocators:
            return []
        measure = getattr(plot.item, self.measure)
        most, peaks = plot.reach(measure), plot.peaks(measure)
        return [
            f"{plot.styles.label(run)}, at {format_number(peaks[run], 3)}"
            for run in plot.styles.bounds
            if peaks.get(run, 0.0) > most
        ]

    def _explain_left_out(self, block: Block, plot: Plot, runs: Sequence[Run]) -> Iterator[str]:
        """Say which runs are not shown, and why."""
        absent = [name for name in plot.styles.allocators if name not in plot.runs]
        answered = {*block.frame["run"].to_list(), *(run.name for run in runs if run.has_log)}
        unknown = [name for name in absent if block.query.reads_log and name not in answered]
        if none := [name for name in absent if name not in unknown]:
            yield f"{block.item.none}: {', '.join(none)}."
        if unknown:
            yield f"No log: {', '.join(unknown)}."
        if beyond := self.bounds_beyond(plot):
            yield f"Beyond the axis: {'; '.join(beyond)}."
        asked = {run.name for run in runs}
        if self.over_time and (
            long := [plot.styles.label(name) for name in plot.styles.bounds if name not in asked]
        ):
            yield f"Takes too long for this axis: {', '.join(long)}."
