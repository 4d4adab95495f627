"""The ranking as a chart: a dot for each design with its interval, and lines for bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

from pipeline.io.numbers import format_duration, format_number
from pipeline.report import vega
from pipeline.report.definition import Item
from pipeline.report.document import Chart
from pipeline.report.ranking import Ranking
from pipeline.report.standing import Standing
from pipeline.report.styles import RunStyles
from pipeline.report.vega import Plot
from pipeline.statistics import Estimate


@dataclass(frozen=True)
class _Axis:
    """One measure of the ranking: its axis title, its field of `Standing`, its ratio and its column."""

    title: str
    field: str
    ratio: str
    column: str

    def write(self, value: float) -> str:
        if self.column.endswith("_us"):
            return format_duration(1e3 * value, micro="µs")
        return f"{format_number(value, 3)}/s"


_AXES = (
    _Axis("Operations per second: more is better", "operations_per_second", "ratio", "per_second"),
    _Axis("Time from request to mapped, mean: less is better", "mapped_us", "slower_mapped", "mapped_us"),
)


def draw_ranking(ranking: Ranking, styles: RunStyles) -> list[Chart]:
    """One chart for throughput and one for the mapping time; none if there is nothing to compare."""
    if len(ranking.standings) + len(ranking.bounds) < 2 or not ranking.standings:
        return []
    return [_draw(axis, ranking, styles) for axis in _AXES]


def _draw(axis: _Axis, ranking: Ranking, styles: RunStyles) -> Chart:
    rows = []
    for standing in (*ranking.standings, *ranking.bounds):
        estimate: Estimate = getattr(standing, axis.field)
        low, high = _interval(axis, standing, ranking) or (estimate.value, estimate.value)
        rows.append((_style(standing, styles), standing.label, estimate.value, low, high))
    schema = ["run", "design", axis.column, "low", "high"]
    frame = pl.DataFrame(rows, schema, orient="row", strict=False)
    fields = {"query": "ranking", "chart": "ranking", "title": axis.title, "x": axis.column}
    item = Item.model_validate(fields)
    plot = Plot(item, frame, styles)
    spec = vega.finish(item, _layers(axis, plot, ranking))
    spec["data"] = {"name": "ranked", "values": frame.to_dicts()}
    return Chart("", spec, _describe(axis, ranking))


def _interval(axis: _Axis, standing: Standing, ranking: Ranking) -> tuple[float, float] | None:
    """The interval of a value; for single runs, the interval of its ratio to the first design's value."""
    estimate: Estimate = getattr(standing, axis.field)
    ratio: Estimate | None = getattr(standing, axis.ratio)
    if estimate.factor_interval or ratio is None or ratio.factor_interval is None:
        return estimate.factor_interval
    first: Estimate = getattr(ranking.standings[0], axis.field)
    low, high = ratio.factor_interval
    return first.value * low, first.value * high


def _style(standing: Standing, styles: RunStyles) -> str:
    """The run that determines the colour and dashes of a standing."""
    return styles.shown(standing.runs[0])


def _layers(axis: _Axis, plot: Plot, ranking: Ranking) -> alt.LayerChart:
    """Dots with values in the order of the ranking, and lines at bounds within the axis."""
    item = plot.item
    designs = [_style(standing, plot.styles) for standing in ranking.standings]
    names = {_style(s, plot.styles): s.label for s in ranking.standings}
    own = plot.rows.filter(pl.col("run").is_in(designs))
    values = own[axis.column].to_list()
    scale, ticks = vega.figure_scale(min(values), max(own["high"].to_list()))
    x = vega.axis(item, "x", scale, title=axis.title, orient="top", grid=True, **ticks)
    y, height = vega.run_axis(plot, designs, names)
    base = vega.only(vega.rows("ranked"), designs)
    colour = vega.colour(plot)
    spans = base.mark_rule(strokeWidth=2, clip=True).encode(
        x=alt.X("low", type="quantitative"), x2="high", y=y, color=colour
    )
    dots = base.mark_point(filled=True, size=90, opacity=1, clip=True).encode(
        x=x, y=y, color=colour, tooltip=vega.tooltip(plot, axis.column, "low", "high")
    )
    texts = {run: axis.write(value) for run, value in own.select("run", axis.column).iter_rows()}
    # The label begins at the end of the interval.
    end = alt.X("high", type="quantitative")
    labels = base.transform_calculate(shown=f"{vega.literal(texts)}[datum.run]").encode(
        x=end, y=y, text="shown:N"
    )
    layers = [spans, dots, labels.mark_text(align="left", dx=8)]
    low, high = scale["domain"]
    bounds = [
        run
        for run, value in plot.rows.select("run", axis.column).iter_rows()
        if run not in designs and low <= value <= high and (value > 0 or scale.get("type") != "log")
    ]
    if bounds:
        rules = vega.only(vega.rows("ranked"), bounds).mark_rule(strokeWidth=1.3, clip=True)
        tip = vega.tooltip(plot, axis.column)
        layers.insert(0, rules.encode(x=x, color=colour, strokeDash=vega.dash(plot), tooltip=tip))
    return alt.LayerChart(layer=layers).properties(height=height)


def _describe(axis: _Axis, ranking: Ranking) -> str:
    standings: Sequence[Standing] = (*ranking.standings, *ranking.bounds)
    figures = [
        f"{standing.label}: {axis.write(getattr(standing, axis.field).value)}" for standing in standings
    ]
    return f"{axis.title}. {'; '.join(figures)}."
