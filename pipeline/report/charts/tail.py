"""Fractions of values that are at least as large."""

from __future__ import annotations

import altair as alt
import polars as pl

from pipeline.io.numbers import format_number
from pipeline.report import vega
from pipeline.report.chart_kind import ChartKind
from pipeline.report.definition import Item
from pipeline.report.vega import Plot


class Tail(ChartKind):
    """Curves of `y`, a share in %, over `x`, a number."""

    draws = "shares of values at least as large, both axes logarithmic"
    requires = ("x", "y")
    measure = "y"
    legend = True

    def select(self, item: Item, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows with positive values, as logarithmic axes require."""
        return super().select(item, frame).filter((pl.col(item.x) > 0) & (pl.col(item.y) > 0))

    def draw(self, plot: Plot) -> alt.LayerChart:
        """Lines, and invisible points for the tooltips."""
        item = plot.item
        (low, high), (bottom, top) = plot.span(item.x), plot.span(item.y)
        if low == high:
            low, high = low / 2, high * 2
        bottom, top = bottom / 1.3, max(100.0 if item.y.endswith("_percent") else 1.0, top)
        x = vega.axis(
            item,
            "x",
            {"type": "log", "domain": [low, high]},
            values=vega.decades(low, high),
            labelOverlap="greedy",
            labelExpr="format(datum.value, '~s')",
        )
        y = vega.axis(
            item,
            "y",
            {"type": "log", "domain": [bottom, top]},
            values=vega.decades(bottom, top),
            labelExpr="format(datum.value, '.6~g') + ' %'",
        )
        base = vega.rows().encode(x=x, y=y, color=vega.colour(plot))
        lines = base.mark_line(strokeWidth=1.8).encode(strokeDash=vega.dash(plot))
        # Large invisible points make the tooltips of a thin line easy to reach.
        points = base.mark_point(size=120, opacity=0, filled=True)
        points = points.encode(tooltip=vega.tooltip(plot, item.x, item.y))
        # A line through a single point would be invisible.
        lone = base.transform_joinaggregate(points="count()", groupby=["run"]).transform_filter(
            "datum.points === 1"
        )
        return alt.LayerChart(layer=[lines, lone.mark_point(size=40, filled=True), points]).properties(
            height=280
        )

    def describe(self, plot: Plot) -> str:
        """The start of the curve, the values at 10 % and 1 %, and the largest value."""
        item = plot.item
        rising = plot.rows.sort(item.x)
        points = [(rising.row(0, named=True), 3)]
        for share in (10.0, 1.0):
            reached = rising.filter(pl.col(item.y) <= share)
            if not reached.is_empty() and rising[item.y][0] > share:
                points.append((reached.row(0, named=True), 2))
        words = [
            f"{format_number(row[item.y], digits)} % at least {vega.say(item.x, row[item.x])}"
            for row, digits in points
        ]
        return ", ".join([*words, f"longest {vega.say(item.x, rising[item.x][-1])}"])


KIND = Tail()
