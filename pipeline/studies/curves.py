"""Charts of a study: means of replications with confidence intervals, as Vega-Lite made with Altair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from pipeline.errors import InputError
from pipeline.report.styles import DASHES, RUN_COLOURS, css, resolve_light_colours, vega_config
from pipeline.statistics import mean
from pipeline.studies.answer import Answer
from pipeline.studies.definition import Curves

WIDTH, HEIGHT = 300, 190
_LEGEND = alt.Legend(title=None, orient="bottom", columns=4, symbolType="stroke", symbolSize=300)
_MOST_TICKS = 8
# From this value on, an axis uses k and M instead of zeros.
_LARGE = 10_000
_WIDE = 100.0


def summarise(chart: Curves, frame: pl.DataFrame, where: str = "") -> pl.DataFrame:
    """Compute the mean of `y` and its 95 % confidence interval for each x, colour and panel.

    Rows without a value are ignored. The ends of the interval are NULL for a single replication. Raises
    InputError, with `where` the chart is defined, for a missing column and for a `y` that is not a number.
    """
    keys = [column for column in (chart.panel, chart.colour, chart.x) if column]
    for column in (*keys, chart.y):
        if column not in frame.columns:
            raise InputError(
                f"{where}: chart '{chart.title}': view '{chart.view}' has no column '{column}', only "
                f"{', '.join(frame.columns)}"
            )
    if not frame.schema[chart.y].is_numeric() and frame.schema[chart.y] != pl.Null:
        raise InputError(
            f"{where}: chart '{chart.title}': expected numbers in '{chart.y}', found {frame.schema[chart.y]}"
        )
    rows = []
    for values, some in frame.drop_nulls([*keys, chart.y]).group_by(keys, maintain_order=True):
        found = mean([float(value) for value in some[chart.y]])
        half = found.half_width
        low, high = (None, None) if half is None else (found.value - half, found.value + half)
        rows.append(dict(zip(keys, values, strict=True)) | {"value": found.value, "low": low, "high": high})
    return pl.DataFrame(rows) if rows else pl.DataFrame(schema=[*keys, "value", "low", "high"])


def specify(chart: Curves, frame: pl.DataFrame, where: str = "") -> dict[str, Any]:
    """Specify a chart with its rows; colours are variables of the style sheet."""
    rows = summarise(chart, frame, where)
    x = _horizontal(chart, rows)
    low = _vertical(chart, rows, "low")
    value = _vertical(chart, rows, "value")
    colour = _colours(chart, rows)
    tips = [alt.Tooltip(c, type="nominal") for c in (chart.panel, chart.colour, chart.x) if c]
    tips += [alt.Tooltip(c, type="quantitative", format=",.4~g") for c in ("value", "low", "high")]
    base = alt.Chart(alt.Data(values=rows.to_dicts())).encode(x=x, tooltip=tips)
    if colour is not None:
        base = base.encode(color=colour)
    span = base.mark_rule(opacity=0.6).encode(y=low.title(chart.y_title or chart.y), y2="high:Q")
    if chart.mark == "bars":
        drawn = base.mark_bar(opacity=0.75).encode(y=value)
    else:
        drawn = base.mark_line(point={"filled": True, "size": 26}).encode(y=value)
        if colour is not None:
            drawn = drawn.encode(strokeDash=_dashes(chart, rows))
    if colour is None:
        drawn, span = (_one_colour(layer) for layer in (drawn, span))
    layers = alt.layer(drawn, span).properties(width=WIDTH, height=HEIGHT)
    whole: Any = layers
    if chart.panel:
        whole = layers.facet(
            facet=alt.Facet(f"{chart.panel}:N", title=None, sort=_order(rows, chart.panel)), columns=2
        )
    spec: dict[str, Any] = whole.properties(title=chart.title).to_dict()
    spec.pop("config", None)
    return spec


def specify_all(answer: Answer) -> list[dict[str, Any]]:
    """Specify every chart of a study."""
    return [
        specify(chart, frame, answer.study.source_file.at("chart"))
        for chart, frame in zip(answer.study.charts, answer.charts, strict=True)
    ]


def draw_svg(specs: Sequence[dict[str, Any]], light: bool = True) -> str:
    """Draw charts as one SVG picture, two side by side or, with panels, below each other.

    Colours are those of the `light` theme, or variables of the style sheet for a page that includes it.
    """
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    config = vega_config() | {
        "background": "var(--paper)",
        "legend": {
            "labelColor": "var(--ink)",
            "symbolOpacity": 1,
            "labelLimit": 260,
            "titleColor": "var(--soft)",
        },
        "title": {"color": "var(--ink)", "anchor": "start", "fontSize": 12},
        "header": {"labelColor": "var(--ink)"},
    }
    whole = {
        "$schema": specs[0]["$schema"],
        "concat": [{k: v for k, v in spec.items() if k != "$schema"} for spec in specs],
        "columns": 1 if any("facet" in spec for spec in specs) else 2,
        "resolve": {"scale": {"color": "independent", "strokeDash": "independent"}},
        "config": config,
    }
    return str(vl_convert.vegalite_to_svg(resolve_light_colours(whole) if light else whole))


def _horizontal(chart: Curves, rows: pl.DataFrame) -> alt.X:
    values = rows[chart.x].unique(maintain_order=True).to_list() if len(rows) else []
    if rows.schema[chart.x].is_numeric() if len(rows) else False:
        ticks = sorted(values) if len(values) <= _MOST_TICKS else alt.Undefined
        if chart.mark == "bars":
            return alt.X(f"{chart.x}:O", title=chart.x_title or chart.x)
        scale = alt.Scale(type="log", base=2, nice=False) if chart.log_x else alt.Scale(zero=False)
        axis = alt.Axis(values=ticks, labelExpr="format(datum.value, ',~g')", grid=False)
        return alt.X(f"{chart.x}:Q", title=chart.x_title or chart.x, scale=scale, axis=axis)
    return alt.X(f"{chart.x}:N", title=chart.x_title or None, sort=values, axis=alt.Axis(labelAngle=-35))


def _vertical(chart: Curves, rows: pl.DataFrame, column: str) -> alt.Y:
    values = rows["value"].to_list()
    positive = min(values, default=0) > 0
    scale = alt.Scale(type="log") if chart.log_y and positive else alt.Scale(zero=True)
    # A wide logarithmic axis has ticks at powers of ten only.
    wide = chart.log_y and positive and max(values) >= _WIDE * min(values)
    ticks = [10.0**k for k in range(-12, 16)] if wide else alt.Undefined
    form = "~s" if max(values, default=0) >= _LARGE else ",.3~r"
    return alt.Y(
        f"{column}:Q",
        title=chart.y_title or chart.y,
        scale=scale,
        axis=alt.Axis(format=form, tickCount=5, values=ticks),
    )


def _order(rows: pl.DataFrame, column: str) -> list[Any]:
    return rows[column].unique(maintain_order=True).to_list()


def _colours(chart: Curves, rows: pl.DataFrame) -> alt.Color | None:
    if not chart.colour:
        return None
    names = _order(rows, chart.colour)
    scale = alt.Scale(domain=names, range=[css(f"run-{i % RUN_COLOURS}") for i in range(len(names))])
    return alt.Color(f"{chart.colour}:N", scale=scale, legend=_LEGEND)


def _dashes(chart: Curves, rows: pl.DataFrame) -> alt.StrokeDash:
    names = _order(rows, chart.colour)
    dashes = [list(DASHES[i // RUN_COLOURS % len(DASHES)]) for i in range(len(names))]
    scale = alt.Scale(domain=names, range=dashes)
    return alt.StrokeDash(f"{chart.colour}:N", scale=scale, legend=_LEGEND)


def _one_colour(layer: alt.Chart) -> alt.Chart:
    return layer.encode(color=alt.value(css("run-0")))
