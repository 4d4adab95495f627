"""Values over a varied factor, one line for each run, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from pipeline.io.numbers import format_number
from pipeline.report import vega
from pipeline.report.chart_kind import ChartKind
from pipeline.report.document import Block
from pipeline.report.vega import Plot
from pipeline.runs.store import Run

# Values of a facet beyond this number have no chart; the data table has them.
MOST_CHARTS = 12
# From this ratio of largest to smallest value, the axis is logarithmic.
_LOG_FROM = 8.0
_MOST_TICKS = 12
# If the smallest value is more than this share of the largest, an axis from 0 would hide the differences.
_CLOSE = 0.8


class Curves(ChartKind):
    """Lines of `y` over `x`, with bands from `low` to `high` where an item names them."""

    draws = "values over a factor, with bands from `low` to `high`"
    requires = ("x", "y")
    measure = "y"
    axis_for_allocators = True
    legend = True

    def draw(self, plot: Plot) -> alt.LayerChart:
        """Lines with a mark at each value of a numeric factor; only marks for other factors."""
        item = plot.item
        numeric = plot.rows.schema[item.x].is_numeric()
        base = vega.rows().encode(
            x=self._across(plot) if numeric else alt.X(item.x, type="nominal", title=item.label("x")),
            color=vega.colour(plot),
        )
        interval = [field for field in (item.low, item.high) if field]
        y = self._up(plot)
        shown = base.encode(y=y, tooltip=vega.tooltip(plot, item.x, item.y, *interval))
        layers = []
        if interval:
            bands = base.mark_area(opacity=0.16, clip=True) if numeric else base.mark_rule(opacity=0.6)
            # Both layers use the other layer's axis; the default of an area would begin at 0.
            begin = alt.Y(item.low, type="quantitative", scale=alt.Scale(zero=False))
            layers.append(bands.encode(y=begin, y2=item.high))
        if numeric:
            shown = shown.mark_line(strokeWidth=1.6, clip=True, point={"size": 26, "filled": True})
            layers.append(shown.encode(strokeDash=vega.dash(plot)))
        else:
            layers.append(shown.mark_point(filled=True, size=60))
        return alt.LayerChart(layer=layers).properties(height=230)

    def fill(self, block: Block, plot: Plot, _runs: Sequence[Run]) -> None:
        """One chart, or one per value of the facet in row order, up to MOST_CHARTS."""
        facet = plot.item.facet
        block.legend = plot.runs
        if not facet:
            block.charts.append(self.chart(plot, {"run": plot.runs}))
            return
        values = plot.rows[facet].unique(maintain_order=True).to_list()
        for value in values[:MOST_CHARTS]:
            part = plot.where(facet, value)
            block.charts.append(self.chart(part, {"run": part.runs, facet: value}, str(value)))
        if len(values) > MOST_CHARTS:
            more = f"{len(values) - MOST_CHARTS} more charts are not shown; the data table has all values."
            block.left_out = " ".join(filter(None, (block.left_out, more)))

    def describe(self, plot: Plot) -> str:
        """The values, in order of the factor."""
        item = plot.item
        rows = plot.rows.sort(item.x).select(item.x, item.y).iter_rows()
        return ", ".join(f"{format_number(y, 3) or 'unknown'} at {format_number(x)}" for x, y in rows)

    def _up(self, plot: Plot) -> alt.Y:
        """The axis of the values; it begins below the smallest one if all are close together, else at 0."""
        item = plot.item
        most = plot.reach(item.y)
        if item.high:
            # The axis cuts off an interval that extends far beyond the values.
            most = max(most, min(plot.reach(item.high), 2 * most))
        least = plot.span(*filter(None, (item.y, item.low)))[0]
        if least < _CLOSE * most or least == most:
            return vega.level_axis(plot, most)
        room = 0.08 * (most - least)
        scale = {"zero": False, "domain": [least - room, most + room]}
        return vega.axis(item, "y", scale, title=f"{item.label('y')}, axis not from 0", **vega.ticks(4, most))

    def _across(self, plot: Plot) -> alt.X:
        """The axis of the factor: logarithmic if its values span several doublings."""
        item = plot.item
        values = sorted(set(plot.rows[item.x].to_list()))
        least, most = values[0], values[-1]
        scale: dict[str, Any] = {"domain": [least, most]}
        if least > 0 and most / least >= _LOG_FROM:
            scale = {"type": "log", "base": 2, "domain": [least * 0.95, most * 1.05]}
        settings = vega.ticks(6, most)
        if len(values) <= _MOST_TICKS:
            settings = {"values": values, "format": settings["format"]}
        return vega.axis(item, "x", scale, grid=False, **settings)


KIND = Curves()
