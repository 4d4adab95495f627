"""Values over a factor that was varied, one line for each run, with intervals."""

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

# More charts than this for the values of a facet are for the data table.
MOST_CHARTS = 12
# Values that span so many doublings stand on an axis of doublings.
_LOG_FROM = 8.0
_MOST_TICKS = 12
# Where the least value is more than this share of the largest, an axis from 0 would show nothing.
_CLOSE = 0.8


class Curves(ChartKind):
    """Lines of `y` over `x`, with bands from `low` to `high` where an item names them."""

    draws = "values over a factor, with bands from `low` to `high`"
    requires = ("x", "y")
    measure = "y"
    axis_for_allocators = True
    legend = True

    def draw(self, plot: Plot) -> alt.LayerChart:
        """Lines with a mark at each value of the factor; words stand side by side, without lines."""
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
            # The other layer's axis holds for both; an area would want it from 0.
            begin = alt.Y(item.low, type="quantitative", scale=alt.Scale(zero=False))
            layers.append(bands.encode(y=begin, y2=item.high))
        if numeric:
            shown = shown.mark_line(strokeWidth=1.6, clip=True, point={"size": 26, "filled": True})
            layers.append(shown.encode(strokeDash=vega.dash(plot)))
        else:
            layers.append(shown.mark_point(filled=True, size=60))
        return alt.LayerChart(layer=layers).properties(height=230)

    def fill(self, block: Block, plot: Plot, _runs: Sequence[Run]) -> None:
        """One chart, or one for each value of the facet in the order of the rows, up to MOST_CHARTS."""
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
            more = f"{len(values) - MOST_CHARTS} more charts are left out; the data has them all."
            block.left_out = " ".join(filter(None, (block.left_out, more)))

    def describe(self, plot: Plot) -> str:
        """Each value, in order of the factor."""
        item = plot.item
        rows = plot.rows.sort(item.x).select(item.x, item.y).iter_rows()
        return ", ".join(f"{format_number(y, 3) or 'unknown'} at {format_number(x)}" for x, y in rows)

    def _up(self, plot: Plot) -> alt.Y:
        """The axis of the values, from 0, or from below the least of them where all lie close together."""
        item = plot.item
        most = plot.reach(item.y)
        if item.high:
            # Of an interval that is wider than all that was measured, the end is cut off.
            most = max(most, min(plot.reach(item.high), 2 * most))
        least = plot.span(*filter(None, (item.y, item.low)))[0]
        if least < _CLOSE * most or least == most:
            return vega.level_axis(plot, most)
        room = 0.08 * (most - least)
        scale = {"zero": False, "domain": [least - room, most + room]}
        return vega.axis(item, "y", scale, title=f"{item.label('y')}, axis not from 0", **vega.ticks(4, most))

    def _across(self, plot: Plot) -> alt.X:
        """The axis of the factor: of doublings where its values span many."""
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
