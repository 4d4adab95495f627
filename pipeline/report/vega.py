"""Elements that several kinds of charts share: rows, axes, colours and tooltips.

Specifications are Vega-Lite, made with Altair. Colours are CSS variables, so charts follow the theme of the
page. The parameter `picked` has the names of the runs that the reader has picked; all others fade.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import altair as alt
import polars as pl

from pipeline.io.numbers import NS_OF_UNIT, format_quantity
from pipeline.report.definition import Item
from pipeline.report.document import Spec
from pipeline.report.styles import RunStyles, css

# Above this ratio between the largest values of two runs, a linear axis would hide the smaller one.
WIDE = 50.0
# The axis includes a bound up to this many times the largest value of the designs.
NEAR = 3.0
# Opacity of runs that are not picked while others are.
FADED = 0.12
LABEL_CHARACTERS = 22
LINE_HEIGHT = 12
# Labels with SI prefixes, but a plain 0.
_SI_LABEL = "datum.value ? format(datum.value, '~s') : '0'"
_UNITS = {"ns": "ns", "us": "us", "ms": "ms", "s": "s", "percent": "%", "kib": "KiB", "mib": "MiB"}
_TIME_FORMAT = ",.4~g"
_FIT_KIB = (
    "datum.value >= 1024 ? format(datum.value / 1024, ',.3~g') + ' MiB' : "
    "format(datum.value, ',.3~g') + ' KiB'"
)


@dataclass(frozen=True)
class Plot:
    """Rows to draw for `item`, with the order and colours of their runs."""

    item: Item
    rows: pl.DataFrame
    styles: RunStyles

    @cached_property
    def runs(self) -> list[str]:
        """Runs that have rows, in drawing order."""
        return self.styles.sort(set(self.rows["run"].to_list()))

    @property
    def allocators(self) -> list[str]:
        """The runs that are not bounds."""
        return [run for run in self.runs if run in self.styles.allocators]

    @property
    def parts(self) -> list[Any]:
        """Values of the item's `series`, in the order of the rows."""
        return self.rows[self.item.series].unique(maintain_order=True).to_list()

    def where(self, column: str, value: Any) -> Plot:
        """The plot restricted to rows with this value in a column."""
        return replace(self, rows=self.rows.filter(pl.col(column) == value))

    def peaks(self, column: str) -> dict[str, float]:
        """Largest value of a column for each run; 0 if it has none."""
        largest = self.rows.group_by("run").agg(pl.col(column).max())
        return {run: float(value or 0.0) for run, value in largest.iter_rows()}

    def reach(self, column: str) -> float:
        """End of the axis of `column`: the largest value of the designs and of bounds near them."""
        peaks = self.peaks(column)
        allocators = max((peak for run, peak in peaks.items() if run not in self.styles.bounds), default=0.0)
        near = [peak for peak in peaks.values() if peak <= NEAR * allocators]
        return max(near, default=allocators) or max(peaks.values(), default=0.0)

    def span(self, *columns: str) -> tuple[float, float]:
        """Smallest and largest value of `columns`; 0 if there are none."""
        values = pl.concat([self.rows[column].cast(pl.Float64) for column in columns]).drop_nulls()
        return float(values.min() or 0.0), float(values.max() or 0.0)  # type: ignore[arg-type]


def rows(name: str = "rows") -> alt.Chart:
    """Start a chart of the data set `name`; the page provides the data set "rows"."""
    return alt.Chart(alt.NamedData(name))


def finish(item: Item, chart: alt.Chart | alt.LayerChart) -> Spec:
    """Make the specification without the parts that the page adds; runs that are not picked fade."""
    spec: Spec = chart.properties(width="container").to_dict()
    for unit in (spec, *spec.get("layer", ())):
        for key in ("$schema", "config", "data", "datasets"):
            unit.pop(key, None)
    # The page sets the width, the chart its height.
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    add_filters(spec, item.where)
    for unit in spec.get("layer", [spec]):
        _write_units(unit)
    for unit in spec.get("layer", [spec]):
        opacity = unit["mark"].pop("opacity", 1)
        if opacity == 0:
            unit["mark"]["opacity"] = 0
            continue
        picked = {"test": "!length(picked) || indexof(picked, datum.run) >= 0", "value": opacity}
        unit["encoding"]["opacity"] = {"condition": picked, "value": FADED}
    return spec | {"params": [{"name": "picked", "value": []}]}


def unit_of(column: str) -> str:
    """Unit at the end of a column's name; "" for none."""
    suffix = column.rpartition("_")[2]
    return _UNITS.get(suffix, "")


def say(column: str, value: float | None) -> str:
    """Write a value of a column with a fitting unit."""
    return format_quantity(value, unit_of(column)) or "unknown"


def _fit_unit(value: str, unit: str) -> str:
    """A Vega expression that formats the time `value`, also an expression, with a fitting unit."""
    scale = NS_OF_UNIT[unit]
    steps = [("s", 1e9), ("ms", 1e6), ("µs", 1e3)]
    # A value that rounds up to 1,000 uses the next unit.
    written = [
        f"abs({value}) >= {0.9995 * ns / scale:.7g} ? "
        f"format({value} * {scale / ns:.7g}, '{_TIME_FORMAT}') + ' {name}'"
        for name, ns in steps
    ]
    last = f"{value} == 0 ? '0' : format({value} * {scale:.7g}, '{_TIME_FORMAT}') + ' ns'"
    return " : ".join([*written, last])


def _write_units(unit: Spec) -> None:
    """Format times in tooltips with a fitting unit."""
    shown = unit["encoding"].get("tooltip", [])
    for tip in shown if isinstance(shown, list) else [shown]:
        of = unit_of(tip["field"])
        if of not in NS_OF_UNIT:
            continue
        text = f"{tip['field']}_text"
        written = _fit_unit(f"datum[{literal(tip['field'])}]", of)
        unit["transform"] = [*unit.get("transform", []), {"calculate": written, "as": text}]
        title = tip.get("title", tip["field"].rpartition("_")[0].replace("_", " "))
        tip.update({"field": text, "type": "nominal", "title": title})
        tip.pop("format", None)


def figure_scale(low: float, high: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """A scale for dots with labels on their right, and its ticks; logarithmic if values are far apart."""
    if low > 0 and high / low > WIDE:
        # The room for the largest value's label is a share of the decades.
        room = (high / low) ** 0.35
        ends = [low / room**0.3, high * room]
        return {"type": "log", "domain": ends}, {"values": decades(*ends), "labelOverlap": "greedy"}
    labels = {"labelExpr": _SI_LABEL} if high >= 10 else {"format": ",.3~g"}
    return {"domain": [0, max(high, 1e-12) * 1.35]}, {"tickCount": 5, **labels}


def add_filters(spec: Spec, fields: dict[str, Any]) -> None:
    """Restrict the chart to rows whose fields have these values, or one of a list of values."""
    filters = [
        {"filter": {"field": field, "oneOf" if isinstance(value, list) else "equal": value}}
        for field, value in fields.items()
    ]
    spec["transform"] = filters + spec.get("transform", [])


def axis(item: Item, name: Literal["x", "y"], scale: dict[str, Any], **settings: Any) -> Any:
    """Encode the item's `x` or `y` by position, on an axis that ends with the `domain` of its scale.

    Labels of times and sizes have a fitting unit.
    """
    unit = unit_of(getattr(item, name))
    if unit in NS_OF_UNIT:
        settings.pop("format", None)
        settings["labelExpr"] = _fit_unit("datum.value", unit)
    elif unit == "KiB":
        settings.pop("format", None)
        settings.pop("tickCount", None)
        settings |= {"labelExpr": _FIT_KIB, "values": _binary_ticks(scale["domain"][1])}
    return {"x": alt.X, "y": alt.Y}[name](
        getattr(item, name),
        type="quantitative",
        title=settings.pop("title", item.label(name)),
        scale=alt.Scale(nice=False, **scale),
        axis=alt.Axis(**settings),
    )


def _binary_ticks(largest: float) -> list[float]:
    """Multiples of a power of two up to `largest`, three to six with 0."""
    step = 2.0 ** math.floor(math.log2(max(largest, 1e-12) / 2.5))
    return [step * i for i in range(math.floor(largest / step) + 1)]


def level_axis(plot: Plot, most: float) -> alt.Y:
    """Encode the item's `y` from 0 to `most`; on a logarithmic axis if the peaks of runs are far apart."""
    item = plot.item
    most = max(most, 1e-12)
    least = min((peak for peak in plot.peaks(item.y).values() if 0 < peak <= most), default=most)
    scale: dict[str, Any] = {"domain": [0, most * 1.06]}
    settings = ticks(4, most)
    if most / least > WIDE:
        small = 10.0 ** math.floor(math.log10(least))
        scale = {"type": "symlog", "constant": small, "domain": [0, most * 1.3]}
        settings = {
            "title": f"{item.label('y')}, log scale",
            "values": [0.0, *decades(small, most)],
            # A number format would use one SI prefix for all ticks: "0.01k".
            "labelExpr": "format(datum.value, ',.6~g')",
        }
    return axis(item, "y", scale, **settings)


def colour(plot: Plot) -> alt.Color:
    """Encode the run by its colour."""
    colours = [css(plot.styles.colour(run)) for run in plot.runs]
    return alt.Color("run:N", scale=alt.Scale(domain=plot.runs, range=colours), legend=None)


def dash(plot: Plot) -> alt.StrokeDash:
    """Encode the run by its dash pattern."""
    dashes = [plot.styles.dash(run) for run in plot.runs]
    return alt.StrokeDash("run:N", scale=alt.Scale(domain=plot.runs, range=dashes), legend=None)


def only(chart: alt.Chart, runs: Sequence[str]) -> alt.Chart:
    """Draw only these runs."""
    return chart.transform_filter(alt.FieldOneOfPredicate("run", runs))


def bound_rules(plot: Plot, x: alt.X, bounds: Sequence[str]) -> list[alt.Chart]:
    """Lines across the chart at the values of `bounds`, if any run is a bound."""
    if plot.runs == plot.allocators:
        return []
    rules = only(rows().encode(x=x), bounds).mark_rule(strokeWidth=1.3, clip=True)
    return [rules.encode(color=colour(plot), strokeDash=dash(plot))]


def run_axis(
    plot: Plot, runs: Sequence[str] | None = None, names: Mapping[str, str] | None = None
) -> tuple[alt.Y, int]:
    """Make the axis of run names, with line breaks in long ones, and the chart's height in pixels.

    `runs` are the runs on the axis (default: all with rows), and `names` their labels.
    """
    runs = plot.runs if runs is None else list(runs)
    # The descriptions of bounds are long and appear in the legend.
    called = {run: (names or {}).get(run) or run for run in runs}
    lines = {run: textwrap.wrap(name, LABEL_CHARACTERS) or [run] for run, name in called.items()}
    most = max(map(len, lines.values()))
    # Vega places further lines below the first; this centres them on their bar.
    offsets = [
        {
            "test": f"indexof({literal([r for r in runs if len(lines[r]) == n])}, datum.value) >= 0",
            "value": -LINE_HEIGHT / 2 * (n - 1),
        }
        for n in range(2, most + 1)
    ]
    axis = alt.Axis(
        title=None,
        labelExpr=f"{literal(lines)}[datum.value]",
        labelLimit=0,
        labelLineHeight=LINE_HEIGHT,
        labelOffset=alt.ConditionalAxisNumber(condition=offsets, value=0) if offsets else 0,
        ticks=False,
        domain=False,
        grid=False,
    )
    height = len(runs) * max(26, LINE_HEIGHT * most + 8)
    return alt.Y("run:N", sort=runs, scale=alt.Scale(domain=runs), axis=axis), height


def tooltip(plot: Plot, *fields: str) -> list[alt.Tooltip]:
    """Tooltip of a mark: its run, then `fields`."""
    return [
        alt.Tooltip(field, type="quantitative", format=",.4~g")
        if plot.rows.schema[field].is_numeric()
        else alt.Tooltip(field, type="nominal")
        for field in ("run", *fields)
    ]


def literal(value: Any) -> str:
    """Write lists, objects and text as a literal of a Vega expression."""
    return json.dumps(value, ensure_ascii=False)


def ticks(count: int, largest: float) -> dict[str, Any]:
    """Settings for about `count` ticks on an axis that ends at `largest`."""
    labels = {"labelExpr": _SI_LABEL} if largest >= 100_000 else {"format": ",.6~g"}
    return {"tickCount": count, **labels}


def decades(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; with 2 and 5 times them if there would be fewer than three."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [10.0**k for k in powers], [round(10.0**k * f, 12) for k in powers for f in (1, 2, 5)]
    coarse, fine = ([v for v in values if low * 0.999 <= v <= high * 1.001] for values in ticks)
    return coarse if len(coarse) >= 3 else fine
