"""Values over time, one line for each run."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from pipeline.io.numbers import format_number
from pipeline.report import vega
from pipeline.report.chart_kind import ChartKind
from pipeline.report.document import Block, Chart
from pipeline.report.vega import Plot
from pipeline.runs.store import Run

# More lines than this over one another cannot be told apart: each run then has a small chart of its own.
MOST_LINES = 5
SMALL_HEIGHT = 90
# With no more events than this in any row, each row that has some is a tick.
MOST_SINGLE = 2


class Lines(ChartKind):
    """Lines of `y` over `x`."""

    draws = (
        "values over time, on a log scale where runs differ 50-fold; with `count`, ticks for single events"
    )
    requires = ("x", "y")
    measure = "y"
    axis_for_allocators = True
    over_time = True
    legend = True

    def draw(self, plot: Plot) -> alt.Chart:
        """Steps on a linear axis, or on a logarithmic one where the peaks of runs are far apart."""
        item = plot.item
        if _are_single(plot):
            return _draw_ticks(plot)
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
        """One chart, or a small one for each of many runs, with the bounds, on axes that all share."""
        if len(plot.allocators) <= MOST_LINES or _are_single(plot):
            super().fill(block, plot, runs)
            return
        block.axes = f"Up: {plot.item.label('y')}. Across: {plot.item.label('x')}. All on equal axes."
        block.legend = [run for run in plot.runs if run in plot.styles.bounds]
        for run in plot.allocators:
            spec = self.specify(plot) | {"height": SMALL_HEIGHT}
            # There is no room for a title beside so small an axis; the page says it once for all.
            spec["encoding"]["y"]["title"] = spec["encoding"]["x"]["title"] = None
            spec["encoding"]["x"]["axis"]["tickCount"] = 3
            vega.add_filters(spec, {"run": [run, *plot.styles.bounds]})
            block.charts.append(Chart(run, spec, self.alt_text(plot.where("run", run)), run))

    def describe(self, plot: Plot) -> str:
        """The highest value and where it lies."""
        item = plot.item
        if _are_single(plot):
            return f"{format_number(int(plot.rows[item.count].sum()))} in all"
        peak = plot.rows.sort(item.y, descending=True, nulls_last=True).row(0, named=True)
        return (
            f"at most {format_number(peak[item.y], 3)} {item.label('y')}, "
            f"at {vega.say(item.x, peak[item.x])} on the axis {item.label('x')}"
        )


def _are_single(plot: Plot) -> bool:
    """Whether events are so few that steps would be waves of single ones."""
    count = plot.item.count
    return bool(count) and plot.peaks(count) != {} and max(plot.peaks(count).values()) <= MOST_SINGLE


def _draw_ticks(plot: Plot) -> alt.Chart:
    """A tick for each row that has events, where it begins."""
    item = plot.item
    longest = plot.span(item.x)[1]
    y, height = vega.run_axis(plot)
    ticks = vega.rows().transform_filter(f"datum[{vega.literal(item.count)}] > 0")
    ticks = ticks.mark_tick(thickness=2, height={"band": 0.6})
    return ticks.encode(
        x=vega.axis(item, "x", {"domain": [0, longest or 1.0]}, grid=False, **vega.ticks(6, longest)),
        y=y,
        color=vega.colour(plot),
        tooltip=vega.tooltip(plot, item.x, item.count),
    ).properties(height=height)


KIND = Lines()
