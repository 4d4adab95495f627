"""The ranking of a sweep as charts: a dot for each design and setting, relative to the best design."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import altair as alt
import polars as pl

from pipeline.io.numbers import format_number, format_quantity
from pipeline.report import vega
from pipeline.report.definition import Item
from pipeline.report.document import Chart
from pipeline.report.styles import RunStyles
from pipeline.report.sweep.measures import MAPPED, THROUGHPUT, Measure
from pipeline.report.sweep.points import Points
from pipeline.report.vega import Plot
from pipeline.sql.library import OutputColumn

_TITLES = {
    THROUGHPUT.column: "Throughput relative to the fastest: more is better",
    MAPPED.column: "Request to mapped relative to the shortest: less is better",
}
COLUMNS = (
    OutputColumn("measure", "", "what is compared: throughput, or the mean time from request to mapped"),
    OutputColumn("value", "", "value of the design at this setting"),
    OutputColumn("relative", "", "value divided by that of the best design at this setting"),
    OutputColumn("low", "", "lower end of the 95 % interval of the ratio"),
    OutputColumn("high", "", "upper end of the interval"),
)
_FIGURES = ("value", "relative", "low", "high")


def compare_with_best(points: Points, designs: Collection[str]) -> pl.DataFrame:
    """A row for each measure, setting and design of `designs`: the value, and its ratio to the best value.

    Settings with fewer than two designs, or with a best value of 0, are omitted.
    """
    rows = [
        *_compare(points, designs, THROUGHPUT, most=True),
        *_compare(points, designs, MAPPED, most=False),
    ]
    names = ["run", "measure", *_FIGURES, *points.factors]
    frame = pl.DataFrame(rows, names, orient="row", infer_schema_length=None)
    return frame.with_columns(pl.col(_FIGURES).cast(pl.Float64))


def _compare(
    points: Points, designs: Collection[str], measure: Measure, most: bool
) -> Iterator[tuple[Any, ...]]:
    column = measure.column
    frame = points.tabulate(points.estimate(column), column).filter(pl.col("run").is_in(list(designs)))
    ratios = {name: points.compare(column, name) for name in designs}
    for rows in frame.partition_by(points.factors) if points.factors else [frame]:
        ranked = rows.sort(column, descending=most).rows(named=True)
        if len(ranked) < 2 or not ranked[0][column]:
            continue
        best = ranked[0]
        for row in ranked:
            setting = tuple(row[factor] for factor in points.factors)
            ratio = points.ratio(ratios[best["run"]], best["run"], row["run"], setting)
            low, high = (ratio and ratio.factor_interval) or (None, None)
            ends = [None if end is None else end / 100 for end in (low, high)]
            yield row["run"], column, row[column], row[column] / best[column], *ends, *setting


def draw_comparison(item: Item, frame: pl.DataFrame, styles: RunStyles) -> list[Chart]:
    """One chart for each measure in which designs can be compared."""
    charts = []
    for measure in frame["measure"].unique(maintain_order=True):
        plot = Plot(item, frame.filter(pl.col("measure") == measure), styles)
        mean = plot.rows.group_by("run").agg(pl.col("relative").log().mean())
        designs = mean.sort("relative", "run", descending=[measure == THROUGHPUT.column, False])[
            "run"
        ].to_list()
        title = _TITLES[measure]
        labels = {run: _describe(plot.where("run", run), measure) for run in designs}
        spec = vega.finish(item, _layers(plot, designs, labels))
        vega.add_filters(spec, {"measure": measure})
        words = "; ".join(f"{run}: {label}" for run, label in labels.items())
        charts.append(Chart(title, spec, f"{title}. {words}."))
    return charts


def _describe(plot: Plot, measure: str) -> str:
    """The value at the only setting, or the range of ratios."""
    if len(plot.rows) == 1:
        value = plot.rows["value"].item()
        return format_quantity(value, "us") if measure == MAPPED.column else f"{format_number(value, 3)}/s"
    low, high = plot.span("relative")
    return " to ".join(dict.fromkeys(f"{format_number(end, 2)}" for end in (low, high)))


def _layers(plot: Plot, designs: Sequence[str], labels: dict[str, str]) -> alt.LayerChart:
    low, high = plot.span("relative")
    scale, ticks = vega.figure_scale(low, max(high, plot.span("high")[1]))
    x = vega.axis(plot.item, "x", scale, title=None, orient="top", grid=True, **ticks)
    y, height = vega.run_axis(plot, designs)
    base = vega.rows().encode(y=y, color=vega.colour(plot))
    spans = base.mark_rule(strokeWidth=1.5, opacity=0.5, clip=True).encode(
        x=alt.X("low", type="quantitative"), x2="high"
    )
    dots = base.mark_point(filled=True, size=70, opacity=0.75, clip=True).encode(
        x=x, tooltip=vega.tooltip(plot, "setting", "value", "relative", "low", "high")
    )
    written = vega.rows().transform_aggregate(
        relative="max(relative)", high="max(high)", groupby=["run", "measure"]
    )
    written = written.transform_calculate(
        end="isValid(datum.high) ? max(datum.relative, datum.high) : datum.relative",
        shown=f"{vega.literal(labels)}[datum.run]",
    )
    texts = written.mark_text(align="left", dx=8).encode(
        x=alt.X("end", type="quantitative"), y=y, text="shown:N"
    )
    return alt.LayerChart(layer=[spans, dots, texts]).properties(height=height)
