"""The base class of chart kinds: the fields that an item needs, the drawing, and its text alternative.

Each file in `charts/` is a kind. Bounds are neutral reference lines. An axis is scaled to the designs, and a
bound far beyond it is named instead of drawn.
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

NO_LOG = "No run has a log, and the totals do not contain this."


class ChartKind(ABC):
    """A kind of chart; each defines `draws`, and either `draw` and `describe` or its own `fill`."""

    draws: ClassVar[str]
    """What the kind draws, for the table in docs/report.md."""
    requires: ClassVar[tuple[str, ...]] = ("x",)
    """Fields that are required of an item."""
    columns: ClassVar[tuple[str, ...]] = ()
    """Columns that are required of the query in addition to those named by the item."""
    measure: ClassVar[str] = "x"
    """Field that names the measured column, "" for none; runs with only zeros there are not drawn."""
    axis_for_allocators: ClassVar[bool] = False
    """Whether the axis of the measure may end below the value of a bound."""
    over_time: ClassVar[bool] = False
    """Whether runs share a time axis, which a much longer run would compress."""
    of_replications: ClassVar[bool] = False
    """Whether it covers all runs, not only the first replication of each design."""
    legend: ClassVar[bool] = False
    """Whether a legend names the runs."""
    wants_two: ClassVar[bool] = False
    """Whether it has one mark per run, so that a single run is described in words."""
    bounds_alone: ClassVar[bool] = False
    """Whether it is shown even if only bounds have rows."""

    def draw(self, plot: Plot) -> alt.Chart | alt.LayerChart:
        """Draw the rows of `plot`, which are not empty."""
        raise NotImplementedError

    def describe(self, plot: Plot) -> str:
        """Describe what the chart shows for one run; `plot` has the rows of this run."""
        raise NotImplementedError

    def select(self, item: Item, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows that match `where`, of runs with a measured value other than 0."""
        rows = frame
        for name, value in item.where.items():
            rows = rows.filter(pl.col(name) == value)
        if measure := self.measure and getattr(item, self.measure):
            worth = rows.filter(pl.col(measure).fill_null(0) != 0)["run"].unique().to_list()
            rows = rows.filter(pl.col("run").is_in(worth))
        return rows

    def show(self, block: Block, styles: RunStyles, runs: Sequence[Run]) -> None:
        """Add to `block` what it shows, or why it has nothing to show.

        `runs` are the runs that were queried.
        """
        plot = Plot(block.item, self.select(block.item, block.frame), styles)
        if plot.allocators or (plot.runs and self.bounds_alone):
            block.left_out = " ".join(self._explain_left_out(block, plot, runs))
            if self.wants_two and len(plot.runs) == 1:
                # A single mark is no comparison, so its value is given in words.
                own = f"{plot.styles.label(plot.runs[0])}: {self.describe(plot)}."
                block.empty, block.left_out = f"{own} {block.left_out}".rstrip(), ""
            else:
                self.fill(block, plot, runs)
        elif block.query.reads_log and block.frame.is_empty() and not any(run.has_log for run in runs):
            block.empty = NO_LOG
        elif plot.runs:
            bounds = ", ".join(map(styles.label, plot.runs))
            block.empty = f"{block.item.empty.removesuffix('.')} except {bounds}."
        else:
            block.empty = block.item.empty

    def fill(self, block: Block, plot: Plot, _runs: Sequence[Run]) -> None:
        """Add the charts to `block`, one in all or one per value of the facet, and the legend."""
        item = plot.item
        if item.facet:
            for facet in plot.rows[item.facet].unique(maintain_order=True).sort().to_list():
                fields = {"run": plot.runs, item.facet: facet}
                # The axes cover all rows, so neighbouring charts share them.
                block.charts.append(self.chart(plot, fields, str(facet or ""), plot.where(item.facet, facet)))
        else:
            block.charts.append(self.chart(plot, {"run": plot.runs}))
        block.legend = plot.runs if self.legend else []
        if item.series:
            block.parts = list(part_colours(plot.parts).items())

    def chart(self, plot: Plot, fields: dict[str, Any], title: str = "", part: Plot | None = None) -> Chart:
        """Make a chart of the rows with these `fields`, which `part` contains, on axes that fit all rows."""
        spec = self.specify(plot)
        vega.add_filters(spec, fields)
        return Chart(title, spec, self.alt_text(part or plot, title))

    def specify(self, plot: Plot) -> Spec:
        """Make the specification without the data, which the page adds."""
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
        """State which runs are not shown, and why."""
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
            yield f"Too long for this time axis: {', '.join(long)}."
