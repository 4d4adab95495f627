"""Values over time, one line for each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import altair as alt
import polars as pl

from pipeline.io.numbers import format_number
from pipeline.report import vega
from pipeline.report.chart_kind import ChartKind
from pipeline.report.definition import Item
from pipeline.report.document import Block, Chart
from pipeline.report.vega import Plot
from pipeline.runs.store import Run

# More lines than this over one another cannot be told apart: each run then has a small chart of its own.
MOST_LINES = 5
SMALL_HEIGHT = 90


class Lines(ChartKind):
    """Lines of `y` over `x`, and ticks for single events."""

    draws = (
        "values over time, on a log scale where runs differ 50-fold; with `count`, ticks for rows without `y`"
    )
    requires = ("x", "y")
    measure = "y"
    axis_for_allocators = True
    over_time = True
    legend = True

    def select(self, item: Item, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows to show; with `count`, those of runs that have any event."""
        return super().select(item.model_copy(update={"y": item.count}) if item.count else item, frame)

    def draw(self, plot: Plot) -> alt.Chart:
        """Steps on a linear axis, or on a logarithmic one where the peaks of runs are far apart."""
        item = plot.item
        longest = plot.span(item.x)[1]
        lines = vega.rows().mark_line(interpolate="step-after", strokeWidth=1.6, clip=True)
        return lines.encode(
            x=vega.axis(item, "x", {"domain": [0, longest or 1.0]}, grid=False, **vega.ticks(6, longest)),
            y=vega.level_axis(plot, plot.reach(item.y)),
            color=vega.colour(plot),
            strokeDash=vega.dash(plot),
            tooltip=vega.tooltip(plot, item.x, item.y),
        ).properties(height=240)

    def fill(self, block: Block, plot: Plot, runs: Sequence[Run]) -> None:
        """Lines for runs that have values, ticks for runs that have single events."""
        item = plot.item
        steps, single = _split(plot)
        if steps.runs and len(steps.allocators) <= MOST_LINES:
            block.charts.append(self.chart(plot, {"run": steps.runs}, "Rates" if single.runs else "", steps))
            block.legend = steps.runs
        elif steps.runs:
            self._fill_small(block, plot, steps)
        if single.runs:
            spec = vega.finish(item, _draw_ticks(plot, single.runs))
            vega.add_filters(spec, {"run": single.runs})
            title = "Single events" if steps.runs else ""
            block.charts.append(Chart(title, spec, self.alt_text(single, title)))

    def _fill_small(self, block: Block, plot: Plot, steps: Plot) -> None:
        """Add a small chart for each run, with the bounds, on the same axes."""
        block.axes = (
            f"Up: {plot.item.label('y')}. Across: {plot.item.label('x')}. All charts have the same axes."
        )
        block.legend = [run for run in steps.runs if run in plot.styles.bounds]
        for run in steps.allocators:
            spec = self.specify(plot) | {"height": SMALL_HEIGHT}
            # Small axes have no room for titles, so the page gives them once for all charts.
            spec["encoding"]["y"]["title"] = spec["encoding"]["x"]["title"] = None
            spec["encoding"]["x"]["axis"]["tickCount"] = 3
            vega.add_filters(spec, {"run": [run, *plot.styles.bounds]})
            block.charts.append(Chart(run, spec, self.alt_text(plot.where("run", run)), run))

    def describe(self, plot: Plot) -> str:
        """The highest value and its position, or the number of single events."""
        item = plot.item
        if _split(plot)[1].runs:
            return f"{format_number(int(plot.rows[item.count].sum()))} in all"
        peak = plot.rows.sort(item.y, descending=True, nulls_last=True).row(0, named=True)
        return (
            f"at most {format_number(peak[item.y], 3)} {item.label('y')}, "
            f"at {vega.say(item.x, peak[item.x])} on the axis {item.label('x')}"
        )


def _split(plot: Plot) -> tuple[Plot, Plot]:
    """The rows that have a value, and those that are single events."""
    if not plot.item.count:
        return plot, replace(plot, rows=plot.rows.clear())
    single = pl.col(plot.item.y).is_null()
    return replace(plot, rows=plot.rows.filter(~single)), replace(plot, rows=plot.rows.filter(single))


def _draw_ticks(plot: Plot, runs: Sequence[str]) -> alt.Chart:
    """A tick for each event; the axis ends with the last row."""
    item = plot.item
    longest = plot.span(item.x)[1]
    y, height = vega.run_axis(plot, runs)
    ticks = vega.rows().transform_filter(f"datum[{vega.literal(item.count)}] > 0")
    return (
        ticks.mark_tick(thickness=1.5, height={"band": 0.6})
        .encode(
            x=vega.axis(item, "x", {"domain": [0, longest or 1.0]}, grid=False, **vega.ticks(6, longest)),
            y=y,
            color=vega.colour(plot),
            tooltip=vega.tooltip(plot, item.x),
        )
        .properties(height=height)
    )


KIND = Lines()
