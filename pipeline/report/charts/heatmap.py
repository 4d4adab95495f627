"""A value over two factors as colours, one chart for each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from pipeline.io.numbers import format_number
from pipeline.report import vega
from pipeline.report.chart_kind import ChartKind
from pipeline.report.charts.curves import MOST_CHARTS
from pipeline.report.document import Block, Chart
from pipeline.report.vega import Plot
from pipeline.runs.store import Run

_ROW_HEIGHT = 26
# With more columns than this, cells have no room for numbers.
_MOST_WRITTEN = 8


class Heatmap(ChartKind):
    """Cells by `x` and `y`, coloured by `value`."""

    draws = "a value by two factors as colours, one chart for each run"
    requires = ("x", "y", "value")
    measure = "value"

    def draw(self, plot: Plot) -> alt.LayerChart:
        """Coloured cells on a scale that all charts share, with values if there is room."""
        item = plot.item
        low, high = plot.span(item.value)
        written = plot.rows[item.x].n_unique() <= _MOST_WRITTEN
        base = vega.rows().encode(
            x=alt.X(item.x, title=item.label("x"), **self._values(plot, item.x)),
            y=alt.Y(item.y, title=item.label("y"), **self._values(plot, item.y, upwards=True)),
        )
        colour = alt.Color(
            item.value,
            type="quantitative",
            # Distinguishable for colour-blind readers and in greyscale.
            scale=alt.Scale(scheme="cividis", domain=[low, high]),
            legend=None if written else alt.Legend(title=None, orient="bottom", direction="horizontal"),
        )
        fields = base.mark_rect().encode(color=colour, tooltip=vega.tooltip(plot, item.x, item.y, item.value))
        layers = [fields]
        if written:
            test = f"datum[{vega.literal(item.value)}] > {(low + high) / 2}"
            ink = alt.condition(test, alt.value("#111111"), alt.value("#ffffff"))
            text = alt.Text(item.value, type="quantitative", format=".3~s" if high >= 1000 else ".3~g")
            layers.append(base.mark_text(fontSize=10).encode(text=text, color=ink))
        height = _ROW_HEIGHT * plot.rows[item.y].n_unique()
        return alt.LayerChart(layer=layers).properties(height=height)

    def fill(self, block: Block, plot: Plot, _runs: Sequence[Run]) -> None:
        """One chart per run and value of the facet, up to MOST_CHARTS."""
        item = plot.item
        block.axes = (
            f"Up: {item.label('y')}. Across: {item.label('x')}. All charts have the same colour scale."
        )
        facets = plot.rows[item.facet].unique(maintain_order=True).to_list() if item.facet else [None]
        shown = [(facet, run) for facet in facets for run in plot.runs]
        for facet, run in shown[:MOST_CHARTS]:
            fields = {"run": run} | ({item.facet: facet} if item.facet else {})
            spec = self.specify(plot)
            for layer in spec["layer"]:
                layer["encoding"]["x"]["title"] = layer["encoding"]["y"]["title"] = None
            vega.add_filters(spec, fields)
            part = plot.where("run", run)
            part = part.where(item.facet, facet) if item.facet else part
            title = f"{run}, {facet}" if facet else run
            block.charts.append(Chart(title, spec, self.alt_text(part, str(facet or "")), run))
        if len(shown) > MOST_CHARTS:
            more = f"{len(shown) - MOST_CHARTS} more charts are not shown; the data table has all values."
            block.left_out = " ".join(filter(None, (block.left_out, more)))

    def describe(self, plot: Plot) -> str:
        """Smallest and largest value, with their factors."""
        item = plot.item
        rows = plot.rows.drop_nulls(item.value).sort(item.value)
        if rows.is_empty():
            return "unknown"
        ends = []
        for words, row in (("least", rows.row(0, named=True)), ("most", rows.row(-1, named=True))):
            place = f"{item.x} {format_number(row[item.x])} and {item.y} {format_number(row[item.y])}"
            ends.append(f"{words} {format_number(row[item.value], 3)} at {place}")
        return "; ".join(ends)

    def _values(self, plot: Plot, column: str, upwards: bool = False) -> dict[str, Any]:
        """One cell for each value of a factor, in order."""
        values = plot.rows[column].unique().sort(descending=upwards).to_list()
        axis = alt.Axis(labelAngle=0, labelOverlap=True, ticks=False, domain=False)
        return {"type": "ordinal", "sort": values, "axis": axis}


KIND = Heatmap()
