"""The two charts of a page: the share of draws for each pair, and break-evens with the ranges of costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from pipeline.report import vega
from pipeline.report.styles import RUN_COLOURS, css
from pipeline.sensitivity.sensitivity import Pair, Sensitivity
from pipeline.sensitivity.turning import REACH, Turn
from pipeline.sensitivity.words import describe_outcome, mattering

_OVER = " over "
_ROW = 26
_AXIS = 40
_TICKS = [0.01, 0.1, 0.5, 1, 2, 10, 100]


@dataclass(frozen=True)
class Chart:
    """A chart for the page's template: a Vega-Lite specification and its rows."""

    name: str
    title: str
    text: str
    alt_text: str
    height: int
    spec: dict[str, Any]
    data: dict[str, Any]
    legend: Sequence[tuple[str, str]] = ()


def draw_shares(found: Sensitivity) -> Chart:
    """Return a chart with a bar and an interval for each pair."""
    rows = [
        {
            "pair": _name(pair),
            "ahead": pair.draws.ahead,
            "equal": pair.draws.equal,
            "draws": pair.draws.draws,
            "share": 100 * pair.draws.ahead / max(pair.draws.draws, 1),
            "low": 100 * pair.draws.low,
            "high": 100 * pair.draws.high,
        }
        for pair in found.pairs
    ]
    names = [_name(pair) for pair in found.pairs]
    y, height = _names_axis("pair", names)
    x = alt.X("share:Q", title="draws, %", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=5))
    tooltip = _tooltip("pair", "ahead", "equal", "draws")
    base = vega.rows().encode(y=y)
    bars = base.mark_bar(height=14).encode(x=x, color=_colour(found), tooltip=tooltip)
    intervals = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q"), x2="high:Q", color=alt.value(css("ink"))
    )
    half = vega.rows().mark_rule(strokeDash=[4, 3]).encode(x=alt.datum(50), color=alt.value(css("soft")))
    return Chart(
        "shares",
        "Share of draws",
        "A bar is the share of draws of all costs in which the first design is ahead, and its line the "
        "95 % interval. At the dashed line neither design is better.",
        "; ".join(f"{row['pair']}: {row['ahead']} of {row['draws']} draws" for row in rows),
        height + _AXIS,
        _finish(alt.layer(bars, intervals, half).properties(height=height)),
        _table(rows, {"share": "%", "low": "%", "high": "%"}),
    )


def draw_break_evens(found: Sensitivity) -> Chart:
    """Return a chart of the ranges of important costs with break-evens, as multiples of the profile's."""
    costs = list(dict.fromkeys(cost for pair in found.pairs for cost in mattering(pair)))
    rows = [row for cost in costs for pair in found.pairs for row in _price_rows(found, pair, cost)]
    y, height = _names_axis("cost", costs)
    x = alt.X(
        "low:Q",
        title="multiple of the profile's cost (log scale)",
        scale=alt.Scale(type="log", domain=[1 / REACH, REACH], nice=False),
        axis=alt.Axis(values=_TICKS, labelExpr="format(datum.value, '~g')"),
    )
    tooltip = _tooltip("cost", "profile", "range", "pair", "break_even")
    base = vega.rows().encode(y=y)
    ranges = base.mark_bar(height=12, opacity=0.5, color=css("bound")).encode(
        x=x, x2="high:Q", tooltip=tooltip
    )
    own = vega.rows().mark_rule(strokeDash=[4, 3]).encode(x=alt.datum(1), color=alt.value(css("soft")))
    between = base.mark_rule(strokeWidth=3).encode(x=alt.X("held:Q"), x2="beyond:Q", color=_colour(found))
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("turn:Q"), color=_colour(found), tooltip=tooltip
    )
    turning = sum(row["turn"] is not None for row in rows)
    return Chart(
        "break-evens",
        "Break-even of each cost",
        "Grey bars are the ranges of costs. The dashed line is the profile's cost. A point is the value at "
        "which the order of a pair changes while all other costs are the profile's. A line marks values at "
        "which the order is undecided. A cost without a point has no break-even within a factor of "
        f"{REACH} each way.",
        f"{len(costs)} costs, {turning} break-evens",
        height + _AXIS,
        _finish(alt.layer(ranges, own, between, points).properties(height=height)),
        _table(rows, {}),
        [(_name(pair), f"run-{at % RUN_COLOURS}") for at, pair in enumerate(found.pairs)],
    )


def _price_rows(found: Sensitivity, pair: Pair, cost: str) -> list[dict[str, Any]]:
    """Return a row for each break-even of a pair, or one without, in multiples of the profile's value."""
    own = found.ranges[cost]
    outcome = pair.break_evens.get(cost)
    row: dict[str, Any] = {
        "cost": cost,
        "profile": f"{own.value:,} {own.unit}",
        "range": f"{own.low:,} to {own.high:,}",
        "low": own.low / own.value,
        "high": own.high / own.value,
        "pair": _name(pair),
        "break_even": describe_outcome(outcome) if outcome else "not searched",
        "turn": None,
        "held": None,
        "beyond": None,
    }
    return [row | _place(turn, own.value) for turn in (outcome.turns if outcome else ())] or [row]


def _place(turn: Turn, value: int) -> dict[str, Any]:
    beyond = turn.until if turn.turned is None else turn.turned
    point = None if turn.turned is None else math.sqrt(turn.held * turn.turned)
    said = f"undecided from {turn.held:,} to {beyond:,}" if point is None else f"{turn.side} {round(point):,}"
    return {
        "break_even": said,
        "turn": None if point is None else point / value,
        "held": turn.held / value,
        "beyond": beyond / value,
    }


def _name(pair: Pair) -> str:
    return f"{pair.a}{_OVER}{pair.b}"


def _colour(found: Sensitivity) -> alt.Color:
    names = [_name(pair) for pair in found.pairs]
    colours = [css(f"run-{at % RUN_COLOURS}") for at in range(len(names))]
    return alt.Color("pair:N", scale=alt.Scale(domain=names, range=colours), legend=None)


def _names_axis(field: str, names: Sequence[str]) -> tuple[alt.Y, int]:
    """Return the axis of names, with pairs on two lines, and the height of the chart in pixels."""
    labels = {name: name.replace(_OVER, f"{_OVER.rstrip()}\n").split("\n") for name in names}
    lines = max([1, *map(len, labels.values())])
    axis = alt.Axis(
        title=None, labelLimit=0, ticks=False, domain=False, grid=False,
        labelExpr=f"{vega.literal(labels)}[datum.value]", labelLineHeight=vega.LINE_HEIGHT,
        labelOffset=-vega.LINE_HEIGHT / 2 * (lines - 1),
    )  # fmt: skip
    height = max(len(names), 1) * max(_ROW, vega.LINE_HEIGHT * lines + 8)
    return alt.Y(f"{field}:N", sort=list(names), axis=axis), height


def _tooltip(*fields: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(field, type="nominal", title=field.replace("_", " ")) for field in fields]


def _finish(chart: alt.LayerChart | alt.FacetChart) -> dict[str, Any]:
    """Return the specification without the parts that the page adds."""
    spec: dict[str, Any] = chart.properties(width="container").to_dict()
    for unit in (spec, *spec["layer"]):
        for key in ("$schema", "config", "data", "datasets"):
            unit.pop(key, None)
    return spec | {"autosize": {"type": "fit-x", "contains": "padding"}}


def _table(rows: Sequence[Mapping[str, Any]], units: Mapping[str, str]) -> dict[str, Any]:
    columns = list(rows[0]) if rows else []
    return {
        "columns": columns,
        "heads": [[name.replace("_", " "), units.get(name, ""), ""] for name in columns],
        "rows": [list(row.values()) for row in rows],
    }
