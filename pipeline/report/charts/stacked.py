"""One bar for each run, divided into parts."""

from __future__ import annotations

import altair as alt
import polars as pl

from pipeline.io.numbers import format_number
from pipeline.report import vega
from pipeline.report.chart_kind import ChartKind
from pipeline.report.styles import css, part_colours
from pipeline.report.vega import Plot


class Stacked(ChartKind):
    """Bars of `x`, a part for each value of `series`."""

    draws = "one bar for each run, in parts"
    requires = ("x", "series")

    def draw(self, plot: Plot) -> alt.Chart:
        """Bars with their parts in the order of the rows."""
        item, parts = plot.item, plot.parts
        y, height = vega.run_axis(plot)
        colours = [css(colour) for colour in part_colours(parts).values()]
        bar = ["run", *filter(None, [item.facet])]
        whole = float(plot.rows.group_by(bar).agg(pl.col(item.x).sum())[item.x].max() or 1.0)  # type: ignore[arg-type]
        x = vega.axis(item, "x", {"domain": [0, whole]}, **vega.ticks(4, 0))
        return (
            vega.rows()
            .transform_calculate(place=f"indexof({vega.literal(parts)}, datum[{vega.literal(item.series)}])")
            .mark_bar(height={"band": 0.72}, stroke="var(--paper)", strokeWidth=0.7)
            .encode(
                y=y,
                x=x.stack("zero"),
                color=alt.Color(
                    item.series, type="nominal", scale=alt.Scale(domain=parts, range=colours), legend=None
                ),
                order=alt.Order("place:Q"),
                tooltip=vega.tooltip(plot, item.series, item.x),
            )
            .properties(height=height)
        )

    def describe(self, plot: Plot) -> str:
        """The four largest parts."""
        item = plot.item
        largest = plot.rows.sort(item.x, descending=True, nulls_last=True).head(4)
        return ", ".join(
            f"{part} {format_number(value, 3)}"
            for part, value in largest.select(item.series, item.x).iter_rows()
            if value
        )


KIND = Stacked()
