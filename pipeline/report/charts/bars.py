"""One bar for each run, with its value."""

from __future__ import annotations

import altair as alt

from pipeline.report import vega
from pipeline.report.chart_kind import ChartKind
from pipeline.report.vega import Plot


class Bars(ChartKind):
    """Bars of `x`."""

    draws = "one bar for each run"
    axis_for_allocators = True
    wants_two = True

    def draw(self, plot: Plot) -> alt.LayerChart:
        """Bars of the designs and lines at the bounds; a bound beyond the axis is a label at its end."""
        item, bounds = plot.item, plot.styles.bounds
        y, height = vega.run_axis(plot)
        most = max(plot.reach(item.x), 1e-12)
        values = dict(plot.rows.select("run", item.x).iter_rows())
        far = [run for run in plot.runs if run in bounds and (values[run] or 0.0) > most]
        texts = {run: vega.say(item.x, values[run]) + (" →" if run in far else "") for run in plot.runs}
        # The axis leaves room for the label of the longest bar; no tick is above 100 %.
        ticks = vega.ticks(4, most)
        if item.x.endswith("_percent") and 50 < most <= 100:
            ticks = {"values": [0, 25, 50, 75, 100], "format": ticks["format"]}
        x = vega.axis(item, "x", {"domain": [0, most * 1.3]}, **ticks)
        bars = (
            vega.only(vega.rows().encode(x=x), plot.allocators)
            .mark_bar(cornerRadiusEnd=2, height={"band": 0.62})
            .encode(y=y, color=vega.colour(plot), tooltip=vega.tooltip(plot, item.x))
        )
        labels = vega.rows().transform_calculate(shown=f"{vega.literal(texts)}[datum.run]")
        labels = labels.encode(y=y, text="shown:N")
        within = vega.only(labels, [run for run in plot.runs if run not in far])
        rules = vega.bound_rules(plot, x, [run for run in bounds if run not in far])
        layers = [*rules, bars, within.mark_text(align="left", dx=5).encode(x=x)]
        if far:
            outside = vega.only(labels, far).mark_text(align="right", dx=-2)
            layers.append(outside.encode(x=alt.value("width")))
        return alt.LayerChart(layer=layers).properties(height=height)

    def describe(self, plot: Plot) -> str:
        """The value of the bar."""
        return vega.say(plot.item.x, plot.rows[plot.item.x][0])


KIND = Bars()
