"""Ranges from smallest to largest value with a mark, one line for each run."""

from __future__ import annotations

from typing import Any

import altair as alt

from pipeline.io.numbers import format_number
from pipeline.report import vega
from pipeline.report.chart_kind import ChartKind
from pipeline.report.vega import Plot


class Range(ChartKind):
    """Lines from `low` to `high` with a mark at `x`."""

    draws = "from least to most with a mark between"
    requires = ("x", "low", "high")
    wants_two = True

    def draw(self, plot: Plot) -> alt.LayerChart:
        """Lines on an axis that is logarithmic if values are far apart."""
        item = plot.item
        y, height = vega.run_axis(plot)
        low, high = plot.span(item.low, item.x, item.high)
        high = high or 1.0
        scale: dict[str, Any] = {"domain": [0, high * 1.1]}
        ticks = vega.ticks(4, high)
        if low > 0 and high / low > vega.WIDE:
            scale = {"type": "log", "domain": [low / 1.3, high * 1.3]}
            ticks = {"values": vega.decades(low, high), "format": ticks["format"]}
        x = vega.axis(item, "x", scale, **ticks)
        base = vega.rows().encode(y=y, color=vega.colour(plot))
        tooltip = vega.tooltip(plot, item.low, item.x, item.high)
        spans = base.mark_rule(strokeWidth=3, opacity=0.55).encode(
            x=alt.X(item.low, type="quantitative"), x2=item.high, tooltip=tooltip
        )
        marks = base.mark_point(filled=True, size=70, opacity=1).encode(x=x, tooltip=tooltip)
        layers = [marks, spans, *vega.bound_rules(plot, x, list(plot.styles.bounds))]
        return alt.LayerChart(layer=layers).properties(height=height)

    def describe(self, plot: Plot) -> str:
        """The marked value and the ends."""
        row = plot.rows.row(0, named=True)
        low, middle, high = (
            format_number(row[c], 3) or "unknown" for c in (plot.item.low, plot.item.x, plot.item.high)
        )
        return f"{middle}, from {low} to {high}"


KIND = Range()
