"""CPUs as lanes around one event: who spun, held, scanned, flushed or was interrupted, and when."""

from __future__ import annotations

import altair as alt
import polars as pl

from pipeline.io.numbers import format_number
from pipeline.report.charts import Spec, finished
from pipeline.report.definition import Item
from pipeline.report.palette import WORK_COLOURS, css

CODE = "map or unmap"
# What a CPU can be seen doing, each over those before it.
DOING = {
    CODE: "series-2",
    "switch": "series-8",
    "spin": WORK_COLOURS["spin"],
    "hold": "series-3",
    "scan": WORK_COLOURS["scan"],
    "flush": WORK_COLOURS["flush"],
    "interrupted": WORK_COLOURS["interrupted"],
}

QUERY_COLUMNS = ("run", "cpu", "doing", "from_us", "to_us", "around", "around_op", "at_ms", "length_us")

LANE = 10
LEAST_HEIGHT = 60


def timeline(item: Item, rows: pl.DataFrame, cpus: int) -> Spec:
    """Make the specification of one run's `rows`, which are not empty; the event lies in a shaded band."""
    lanes = list(range(cpus))
    known = [doing for doing in DOING if doing in set(rows["doing"].to_list())]
    start, end = float(rows["from_us"].min()), float(rows["to_us"].max())  # type: ignore[arg-type]
    base = alt.Chart(alt.NamedData("rows"))
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
        scale=alt.Scale(domain=lanes, paddingInner=0.2, paddingOuter=0.1),
        axis=alt.Axis(ticks=False, domain=False, labelOverlap=True),
    )
    length = float(rows["length_us"][0])
    event = (
        alt.Chart(alt.NamedData("rows"))
        .transform_aggregate(n="count()", groupby=["run"])
        .transform_calculate(begin=str(max(0.0, start)), end=str(min(length, end)))
        .mark_rect(color="var(--line)", clip=True)
        .encode(x=alt.X("begin:Q", scale=scale), x2="end:Q")
    )
    stretches = (
        base.transform_calculate(place=f"indexof({known!r}, datum.doing)")
        .mark_bar(clip=True)
        .encode(
            x=x,
            x2="to_us",
            y=y,
            color=alt.Color(
                "doing",
                type="nominal",
                scale=alt.Scale(domain=known, range=[css(DOING[doing]) for doing in known]),
                legend=None,
            ),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("doing", type="nominal"),
                alt.Tooltip("cpu", type="nominal"),
                alt.Tooltip("task", type="nominal"),
                alt.Tooltip("op", type="nominal"),
                alt.Tooltip("from_us", type="quantitative", format=",.4~g", title="from, µs"),
                alt.Tooltip("to_us", type="quantitative", format=",.4~g", title="to, µs"),
            ],
        )
    )
    layers = alt.LayerChart(layer=[event, stretches])
    height = max(LEAST_HEIGHT, LANE * len(lanes))
    return finished(item, layers.properties(width="container", height=height).to_dict())


def event_in_words(rows: pl.DataFrame) -> str:
    """Which event one run's rows lie around."""
    first = rows.row(0, named=True)
    what = {"flush": "flush of operation", "map": "map of operation"}[first["around"]]
    return (
        f"{what} {first['around_op']} at {format_number(first['at_ms'], 6)} ms, "
        f"{format_number(first['length_us'], 3)} µs long"
    )


def timeline_in_words(item: Item, rows: pl.DataFrame, run: str) -> str:
    """Say how long the CPUs did what, for whoever cannot see the chart."""
    spent = dict(rows.group_by("doing").agg((pl.col("to_us") - pl.col("from_us")).sum()).iter_rows())
    within = {"spin", "hold", "scan", "flush"} & spent.keys()
    sums = [
        f"{doing} {format_number(spent[doing], 3)} µs"
        + (
            " (what of it was spin, hold, scan or flush is counted there too)"
            if doing == CODE and within
            else ""
        )
        for doing in DOING
        if doing in spent
    ]
    start, end = float(rows["from_us"].min()), float(rows["to_us"].max())  # type: ignore[arg-type]
    cpus = rows["cpu"].n_unique()
    return (
        f"{item.title}. {run}, around the {event_in_words(rows)}: in {format_number(end - start, 3)} µs "
        f"{cpus} CPU{'s' if cpus != 1 else ''} spent, all together, {', '.join(sums)}."
    )
