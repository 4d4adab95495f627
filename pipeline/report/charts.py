"""Vega-Lite specifications of the chart kinds, made with Altair.

Each takes the rows to draw, the order of the runs and an item of a report definition, and gives a
specification without its data, which the page adds. Colours are CSS variables, so that a chart follows the
page from light to dark and to print. Bounds are neutral lines to measure by; an axis is made for the designs,
and a bound far beyond it is said instead of drawn. The parameter `picked` holds the names of the runs that a
reader has picked; the others fade.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from pipeline.io.numbers import format_number
from pipeline.report.definition import Item
from pipeline.report.palette import Cast, css, part_colours

Spec = dict[str, Any]

# Beyond this ratio between the largest values of two runs a linear axis would hide the smaller.
WIDE = 50.0
LABEL_CHARACTERS = 22
LINE_HEIGHT = 12


# A bound within this many times the designs' largest value is let onto their axis.
NEAR = 3.0

# Of a run that was not picked while others were.
FADED = 0.12


def chart(item: Item, rows: pl.DataFrame, cast: Cast) -> Spec:
    """Make the specification of `item` over `rows`, which are not empty; `cast` gives order and colours."""
    make = {"bars": _bars, "lines": _lines, "tail": _tail, "stacked": _stacked, "range": _range}[item.chart]
    drawn = cast.among(set(rows["run"].to_list()))
    spec: Spec = make(item, rows, drawn, cast).properties(width="container").to_dict()
    return finished(item, spec)


def finished(item: Item, spec: Spec) -> Spec:
    """Take from a specification what the page adds, and let runs that are not picked fade."""
    for key in ("$schema", "config", "data", "datasets"):
        spec.pop(key, None)
    for layer in spec.get("layer", ()):
        layer.pop("data", None)
    # The width is the page's, the height the chart's own.
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    spec["transform"] = [
        {"filter": {"field": field, "equal": value}} for field, value in item.where.items()
    ] + spec.get("transform", [])
    for unit in spec.get("layer", [spec]):
        opacity = unit["mark"].pop("opacity", 1)
        if opacity == 0:
            unit["mark"]["opacity"] = 0
            continue
        unit["encoding"]["opacity"] = {
            "condition": {
                "test": "!length(picked) || indexof(picked, datum.run) >= 0",
                "value": opacity,
            },
            "value": FADED,
        }
    return spec | {"params": [{"name": "picked", "value": []}]}


def largest(measure: str, rows: pl.DataFrame, cast: Cast) -> float:
    """Largest value that the axis of `measure` must reach: of designs, and of bounds that are near."""
    peaks = {
        run: float(value or 0.0) for run, value in rows.group_by("run").agg(pl.col(measure).max()).iter_rows()
    }
    allocators = max((value for run, value in peaks.items() if run not in cast.bounds), default=0.0)
    near = [value for value in peaks.values() if value <= NEAR * allocators]
    return max(near, default=allocators) or max(peaks.values(), default=0.0)


def beyond(item: Item, rows: pl.DataFrame, cast: Cast) -> list[str]:
    """Bounds that the axis of `item` does not reach, with their values."""
    measure = {"bars": item.x, "lines": item.y}.get(item.chart)
    if measure is None:
        return []
    most = largest(measure, rows, cast)
    peaks = dict(rows.group_by("run").agg(pl.col(measure).max()).iter_rows())
    return [
        f"{cast.said(run)}, at {format_number(float(peaks[run]), 3)}"
        for run in cast.bounds
        if (peaks.get(run) or 0.0) > most
    ]


def _base() -> alt.Chart:
    return alt.Chart(alt.NamedData("rows"))


def _colour(drawn: Sequence[str], cast: Cast) -> alt.Color:
    colours = [css(cast.colour(run)) for run in drawn]
    return alt.Color("run:N", scale=alt.Scale(domain=list(drawn), range=colours), legend=None)


def _dash(drawn: Sequence[str], cast: Cast) -> alt.StrokeDash:
    dashes = [cast.dash(run) for run in drawn]
    return alt.StrokeDash("run:N", scale=alt.Scale(domain=list(drawn), range=dashes), legend=None)


def _rules(chart: alt.Chart, drawn: Sequence[str], bounds: Sequence[str], cast: Cast) -> alt.Chart:
    """Lines through the whole chart at the values of `bounds`, for a chart that encodes x."""
    return (
        chart.transform_filter(alt.FieldOneOfPredicate("run", bounds))
        .mark_rule(strokeWidth=1.3, clip=True)
        .encode(color=_colour(drawn, cast), strokeDash=_dash(drawn, cast))
    )


def _run_axis(drawn: Sequence[str], cast: Cast) -> tuple[alt.Y, int]:
    """Make the axis of run names, long ones on several lines, and the height of the chart in pixels."""
    lines = {run: textwrap.wrap(cast.said(run), LABEL_CHARACTERS) or [run] for run in drawn}
    most = max(map(len, lines.values()))
    # Vega hangs further lines below the first; this centres them on their bar.
    offsets = [
        {
            "test": f"indexof({_literal([r for r in drawn if len(lines[r]) == n])}, datum.value) >= 0",
            "value": -LINE_HEIGHT / 2 * (n - 1),
        }
        for n in range(2, most + 1)
    ]
    axis = alt.Axis(
        title=None,
        labelExpr=f"{_literal(lines)}[datum.value]",
        labelLimit=0,
        labelLineHeight=LINE_HEIGHT,
        labelOffset=alt.ConditionalAxisNumber(condition=offsets, value=0) if offsets else 0,
        ticks=False,
        domain=False,
        grid=False,
    )
    height = len(drawn) * max(26, LINE_HEIGHT * most + 8)
    return alt.Y("run:N", sort=list(drawn), scale=alt.Scale(domain=list(drawn)), axis=axis), height


def _literal(value: Any) -> str:
    """Write lists, objects and text as a literal of Vega's expressions."""
    return json.dumps(value, ensure_ascii=False)


def _number(largest: float) -> str:
    """Number format of an axis that ends at `largest`."""
    return "~s" if largest >= 100_000 else ",.6~g"


def _title(text: str, field: str) -> str:
    return text or field


def _tooltip(rows: pl.DataFrame, *fields: str) -> list[alt.Tooltip]:
    numbers = {name for name, kind in rows.schema.items() if kind.is_numeric()}
    return [
        alt.Tooltip(field, type="quantitative", format=",.4~g")
        if field in numbers
        else alt.Tooltip(field, type="nominal")
        for field in ("run", *fields)
    ]


def _bars(item: Item, rows: pl.DataFrame, drawn: Sequence[str], cast: Cast) -> alt.LayerChart:
    y, height = _run_axis(drawn, cast)
    most = max(largest(item.x, rows, cast), 1e-12)
    values = dict(zip(rows["run"].to_list(), rows[item.x].to_list(), strict=True))
    far = [run for run in drawn if run in cast.bounds and (values[run] or 0.0) > most]
    shown = {run: format_number(values[run], 3) + (" →" if run in far else "") for run in drawn}
    x = alt.X(
        item.x,
        type="quantitative",
        title=_title(item.x_title, item.x),
        scale=alt.Scale(domain=[0, most * 1.3], nice=False),
        axis=_bar_axis(item.x, most),
    )
    base = _base().encode(x=x)
    bars = (
        base.transform_filter(alt.FieldOneOfPredicate("run", [r for r in drawn if r in cast.allocators]))
        .mark_bar(cornerRadiusEnd=2, height={"band": 0.62})
        .encode(y=y, color=_colour(drawn, cast), tooltip=_tooltip(rows, item.x))
    )
    labels = _base().transform_calculate(shown=f"{_literal(shown)}[datum.run]").encode(y=y, text="shown:N")
    within = labels.transform_filter(alt.FieldOneOfPredicate("run", [r for r in drawn if r not in far]))
    layers = [bars, within.mark_text(align="left", dx=5).encode(x=x)]
    if any(run in cast.bounds for run in drawn):
        layers.insert(0, _rules(base, drawn, [r for r in cast.bounds if r not in far], cast))
    if far:
        outside = labels.transform_filter(alt.FieldOneOfPredicate("run", far))
        layers.append(outside.mark_text(align="right", dx=-2).encode(x=alt.value("width")))
    return alt.LayerChart(layer=layers).properties(height=height)


def _bar_axis(field: str, most: float) -> alt.Axis:
    """Make the axis under bars, which leaves room for a label beyond the longest; no tick is above 100 %."""
    if field.endswith("_percent") and 50 < most <= 100:
        return alt.Axis(values=[0, 25, 50, 75, 100], format=_number(most))
    return alt.Axis(tickCount=4, format=_number(most))


def _lines(item: Item, rows: pl.DataFrame, drawn: Sequence[str], cast: Cast) -> alt.Chart:
    most = max(largest(item.y, rows, cast), 1e-12)
    peaks = rows.group_by("run").agg(pl.col(item.y).max())[item.y].drop_nulls()
    peaks = peaks.filter((peaks > 0) & (peaks <= most))
    wide = len(peaks) > 1 and most / float(peaks.min()) > WIDE  # type: ignore[arg-type]
    title = _title(item.y_title, item.y)
    if wide:
        small = 10.0 ** math.floor(math.log10(float(peaks.min())))  # type: ignore[arg-type]
        ticks = [0.0, *_decades(small, most)]
        y = alt.Y(
            item.y,
            type="quantitative",
            title=f"{title}, log scale from {format_number(small)}",
            scale=alt.Scale(type="symlog", constant=small, domain=[0, most * 1.3], nice=False),
            # A number format would be given one SI prefix for all ticks: "0.01k".
            axis=alt.Axis(values=ticks, labelExpr="format(datum.value, ',.6~g')"),
        )
    else:
        y = alt.Y(
            item.y,
            type="quantitative",
            title=title,
            scale=alt.Scale(domain=[0, most * 1.06], nice=False),
            axis=alt.Axis(tickCount=4, format=_number(most)),
        )
    longest = float(rows[item.x].max() or 0.0)  # type: ignore[arg-type]
    x = alt.X(
        item.x,
        type="quantitative",
        title=_title(item.x_title, item.x),
        scale=alt.Scale(domain=[0, longest or 1.0], nice=False),
        axis=alt.Axis(tickCount=6, grid=False, format=_number(longest)),
    )
    return (
        _base()
        .mark_line(interpolate="step-after", strokeWidth=1.6, clip=True)
        .encode(
            x=x,
            y=y,
            color=_colour(drawn, cast),
            strokeDash=_dash(drawn, cast),
            tooltip=_tooltip(rows, item.x, item.y),
        )
        .properties(height=240)
    )


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; also 2 and 5 times these where they would be fewer than three."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    tens = [10.0**k for k in range(first, last + 1)]
    inside = [value for value in tens if low * 0.999 <= value <= high * 1.001]
    if len(inside) < 3:
        finer = [round(10.0**k * f, 12) for k in range(first, last + 1) for f in (1, 2, 5)]
        inside = [value for value in finer if low * 0.999 <= value <= high * 1.001]
    return inside


# Microseconds as a reader would say them.
_TIME_LABEL = (
    "datum.value >= 1e6 ? format(datum.value / 1e6, '.6~g') + ' s' : "
    "datum.value >= 1e3 ? format(datum.value / 1e3, '.6~g') + ' ms' : "
    "datum.value >= 1 ? format(datum.value, '.6~g') + ' µs' : format(datum.value * 1e3, '.6~g') + ' ns'"
)


def _tail(item: Item, rows: pl.DataFrame, drawn: Sequence[str], cast: Cast) -> alt.LayerChart:
    xs, ys = rows[item.x], rows[item.y]
    low, high = float(xs.min()), float(xs.max())  # type: ignore[arg-type]
    bottom = float(ys.min())  # type: ignore[arg-type]
    top = max(100.0 if item.y.endswith("_percent") else 1.0, float(ys.max()))  # type: ignore[arg-type]
    if low == high:
        low, high = low / 2, high * 2
    x = alt.X(
        item.x,
        type="quantitative",
        title=_title(item.x_title, item.x),
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(
            values=_decades(low, high),
            labelOverlap="greedy",
            labelExpr=_TIME_LABEL if item.x.endswith("_us") else "format(datum.value, '~s')",
        ),
    )
    y = alt.Y(
        item.y,
        type="quantitative",
        title=_title(item.y_title, item.y),
        scale=alt.Scale(type="log", domain=[bottom / 1.3, top], nice=False),
        axis=alt.Axis(values=_decades(bottom / 1.3, top), labelExpr="format(datum.value, '.6~g') + ' %'"),
    )
    base = _base().encode(x=x, y=y, color=_colour(drawn, cast))
    lines = base.mark_line(strokeWidth=1.8).encode(strokeDash=_dash(drawn, cast))
    # A large invisible point takes the pointer, so that a thin line can be asked for its values.
    points = base.mark_point(size=120, opacity=0, filled=True).encode(tooltip=_tooltip(rows, item.x, item.y))
    return alt.LayerChart(layer=[lines, points]).properties(height=280)


def _stacked(item: Item, rows: pl.DataFrame, drawn: Sequence[str], cast: Cast) -> alt.Chart:
    y, height = _run_axis(drawn, cast)
    parts = rows[item.series].unique(maintain_order=True).to_list()
    scale = alt.Scale(
        domain=parts, range=[css(colour) for colour in part_colours(list(map(str, parts))).values()]
    )
    whole = rows.group_by("run").agg(pl.col(item.x).sum())[item.x].max()
    return (
        _base()
        .transform_calculate(place=f"indexof({_literal(parts)}, datum[{_literal(item.series)}])")
        .mark_bar(height={"band": 0.72}, stroke="var(--paper)", strokeWidth=0.7)
        .encode(
            y=y,
            x=alt.X(
                item.x,
                type="quantitative",
                stack="zero",
                title=_title(item.x_title, item.x),
                scale=alt.Scale(domain=[0, float(whole or 1.0)], nice=False),  # type: ignore[arg-type]
                axis=alt.Axis(tickCount=4, format=_number(0)),
            ),
            color=alt.Color(item.series, type="nominal", scale=scale, legend=None),
            order=alt.Order("place:Q"),
            tooltip=_tooltip(rows, item.series, item.x),
        )
        .properties(height=height)
    )


def _range(item: Item, rows: pl.DataFrame, drawn: Sequence[str], cast: Cast) -> alt.LayerChart:
    y, height = _run_axis(drawn, cast)
    values = pl.concat([rows[c].cast(pl.Float64) for c in (item.low, item.x, item.high)]).drop_nulls()
    low, high = float(values.min() or 0.0), float(values.max() or 1.0)  # type: ignore[arg-type]
    if low > 0 and high / low > WIDE:
        scale = alt.Scale(type="log", domain=[low / 1.3, high * 1.3], nice=False)
        axis = alt.Axis(values=_decades(low, high), format=_number(high))
    else:
        scale = alt.Scale(domain=[0, high * 1.1], nice=False)
        axis = alt.Axis(tickCount=4, format=_number(high))
    x = alt.X(item.x, type="quantitative", title=_title(item.x_title, item.x), scale=scale, axis=axis)
    base = _base().encode(y=y, color=_colour(drawn, cast))
    tooltip = _tooltip(rows, item.low, item.x, item.high)
    spans = base.mark_rule(strokeWidth=3, opacity=0.55).encode(
        x=alt.X(item.low, type="quantitative"), x2=item.high, tooltip=tooltip
    )
    marks = base.mark_point(filled=True, size=70, opacity=1).encode(x=x, tooltip=tooltip)
    layers = [marks, spans]
    if any(run in cast.bounds for run in drawn):
        layers.append(_rules(_base().encode(x=x), drawn, list(cast.bounds), cast))
    return alt.LayerChart(layer=layers).properties(height=height)
