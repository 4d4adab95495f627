"""CPUs as lanes around one event, with the periods of spins, holds, scans, flushes and interrupts."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from pipeline.io.numbers import format_duration, format_number
from pipeline.report import vega
from pipeline.report.chart_kind import ChartKind
from pipeline.report.document import Block, Chart
from pipeline.report.styles import css, part_colour
from pipeline.report.vega import Plot
from pipeline.runs.store import Run

CODE = "map or unmap"
# Activities of a CPU; later ones are drawn over earlier ones.
DOING_COLOURS = {
    doing: part_colour(doing) for doing in (CODE, "switch", "spin", "hold", "scan", "flush", "interrupted")
}
LANE_HEIGHT = 10
LEAST_HEIGHT = 60


class Timeline(ChartKind):
    """The activity of each CPU around an event, one chart for each design."""

    draws = "CPUs as lanes around an event, one chart for each run"
    requires = ()
    columns = ("run", "cpu", "doing", "from_us", "to_us", "around", "around_op", "at_ms", "length_us")
    measure = ""

    def fill(self, block: Block, plot: Plot, runs: Sequence[Run]) -> None:
        """Add a chart for each design with any activity, titled by its event."""
        cpus = {run.name: run.manifest.machine.cpus for run in runs}
        for run in plot.allocators:
            own = plot.where("run", run)
            spec = vega.finish(plot.item, draw_lanes(own, cpus[run]))
            vega.add_filters(spec, {"run": run})
            block.charts.append(Chart(f"{run}: {describe_event(own)}", spec, self.alt_text(own), run))
        seen = set(block.frame["doing"].to_list())
        block.parts = [(doing, colour) for doing, colour in DOING_COLOURS.items() if doing in seen]

    def alt_text(self, plot: Plot, facet: str = "") -> str:
        """State the time that the CPUs of one run spent on each activity."""
        spent = dict(plot.rows.group_by("doing").agg((pl.col("to_us") - pl.col("from_us")).sum()).iter_rows())
        sums = [f"{doing} {format_number(spent[doing], 3)} µs" for doing in DOING_COLOURS if doing in spent]
        if CODE in spent and {"spin", "hold", "scan", "flush"} & spent.keys():
            sums[0] += " (what of it was spin, hold, scan or flush is counted there too)"
        start, end = plot.span("from_us", "to_us")
        cpus = plot.rows["cpu"].n_unique()
        return (
            f"{plot.item.title}. {plot.runs[0]}, around the {describe_event(plot)}: in "
            f"{format_number(end - start, 3)} µs {cpus} CPU{'s' if cpus != 1 else ''} spent in total "
            f"{', '.join(sums)}."
        )


def draw_lanes(plot: Plot, cpus: int) -> alt.LayerChart:
    """Draw the rows of one run on a machine with `cpus` CPUs; a shaded band marks the event."""
    known = [doing for doing in DOING_COLOURS if doing in set(plot.rows["doing"].to_list())]
    start, end = plot.span("from_us", "to_us")
    scale = alt.Scale(domain=[start, end], nice=False, zero=False)
    x = alt.X(
        "from_us",
        type="quantitative",
        title="µs since the event began",
        scale=scale,
        axis=alt.Axis(tickCount=5, grid=False, format=",.6~g"),
    )
    y = alt.Y(
        "cpu:O",
        title="CPU",
        scale=alt.Scale(domain=list(range(cpus)), paddingInner=0.2, paddingOuter=0.1),
        axis=alt.Axis(ticks=False, domain=False, labelOverlap=True),
    )
    length = float(plot.rows["length_us"][0])
    event = (
        vega.rows()
        .transform_aggregate(n="count()", groupby=["run"])
        .transform_calculate(begin=str(max(0.0, start)), end=str(min(length, end)))
        .mark_rect(color="var(--line)", clip=True)
        .encode(x=alt.X("begin:Q", scale=scale), x2="end:Q")
    )
    colours = alt.Scale(domain=known, range=[css(DOING_COLOURS[doing]) for doing in known])
    times = [
        alt.Tooltip(field, type="quantitative", format=",.4~g", title=title)
        for field, title in (("from_us", "from, µs"), ("to_us", "to, µs"))
    ]
    stretches = (
        vega.rows()
        .transform_calculate(place=f"indexof({known!r}, datum.doing)")
        .mark_bar(clip=True)
        .encode(
            x=x,
            x2="to_us",
            y=y,
            color=alt.Color("doing", type="nominal", scale=colours, legend=None),
            order=alt.Order("place:Q"),
            tooltip=[*(alt.Tooltip(f, type="nominal") for f in ("doing", "cpu", "task", "op")), *times],
        )
    )
    height = max(LEAST_HEIGHT, LANE_HEIGHT * cpus)
    return alt.LayerChart(layer=[event, stretches]).properties(height=height)


def describe_event(plot: Plot) -> str:
    """Describe the event of the rows of one run."""
    first = plot.rows.row(0, named=True)
    event = f"{first['around']} of operation {first['around_op']}"
    at_ms = first["at_ms"]
    at = f"{format_number(at_ms / 1e3, 6)} s" if at_ms >= 1e3 else f"{format_number(at_ms, 6)} ms"
    return f"{event} at {at}, {format_duration(1e3 * first['length_us'], micro='µs')} long"


KIND = Timeline()
