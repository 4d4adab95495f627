"""One item of a report: its rows, and the table or charts made from them, or why there are none."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline.errors import InputError
from pipeline.report import ranking, timeline
from pipeline.report.alt_text import chart_in_words
from pipeline.report.cells import Head, Table, head, table
from pipeline.report.charts import NEAR, Spec, beyond, chart
from pipeline.report.definition import Item
from pipeline.report.palette import Cast, part_colours
from pipeline.report.ranking_table import ranking_table
from pipeline.runs.discovery import RunFound
from pipeline.sql.library import Query, filled

# Columns that a query must have for a chart that is made for it alone.
_COLUMNS = {"ranking": ranking.QUERY_COLUMNS, "timeline": timeline.QUERY_COLUMNS}

# A chart of more points is neither readable nor light; its query should group them.
MOST_ROWS = 20_000

NO_LOG = "No run has a log, and the totals do not tell."

# More lines than this over one another cannot be told apart: each run then has a small chart of its own.
MOST_LINES = 5


@dataclass(frozen=True)
class Chart:
    """One drawing: its specification without the data, and in words; `run` where it is of one run."""

    title: str
    spec: Spec
    words: str
    run: str = ""


@dataclass
class Block:
    """What the page, and every other form of the report, shows of one item."""

    item: Item
    query: Query
    params: dict[str, Any]
    frame: pl.DataFrame
    heads: list[Head] = field(default_factory=list)
    empty: str = ""
    """Said instead of a table or charts."""
    left_out: str = ""
    axes: str = ""
    """What the axes of small charts are, which have no room for titles."""
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    legend: list[str] = field(default_factory=list)
    parts: list[tuple[str, str]] = field(default_factory=list)
    """Parts of stacked bars, each with the name of its colour."""

    @property
    def sql(self) -> str:
        """What was asked, its parameters filled in."""
        return filled(self.query, self.params)

    @property
    def ask(self) -> str:
        """The command that asks it again."""
        which = "--file" if self.item.query.endswith(".sql") else "--name"
        values = [word for name, value in self.item.params.items() for word in ("--set", f"{name}={value}")]
        return shlex.join(["pipeline", "sql", which, self.item.query, *values])


def in_reach(runs: Sequence[RunFound], cast: Cast) -> list[RunFound]:
    """Runs that a common time axis is made for: a bound that takes many times as long would squeeze them."""
    longest = max(run.manifest.totals.wall_ns for run in runs if run.name in cast.allocators)
    return [
        run for run in runs if run.name in cast.allocators or run.manifest.totals.wall_ns <= NEAR * longest
    ]


def block_of(item: Item, query: Query, frame: pl.DataFrame, cast: Cast, runs: Sequence[RunFound]) -> Block:
    """Make what is shown of `item` from the rows of its query."""
    _check(item, frame)
    params = {param.name: param.default for param in query.params} | item.params
    block = Block(item, query, params, frame, [head(name, query, frame) for name in frame.columns])
    if item.chart == "ranking":
        block.tables = [ranking_table(one) for one in ranking.rankings(runs, frame, list(cast.bounds))]
        return block
    rows = _drawn(item, frame)
    present = cast.among(set(rows["run"].to_list()))
    if not present or (item.chart != "table" and not any(name in cast.allocators for name in present)):
        block.empty = _nothing(block, cast, present, runs)
        return block
    block.left_out = " ".join(_left_out(block, rows, cast, present, runs))
    if item.chart == "table":
        stuck = [run.name for run in runs if ranking.stuck(run)]
        block.tables = [table(item, query, rows, cast.bounds, stuck)]
    elif item.chart == "timeline":
        _draw_timelines(block, present, cast, {run.name: run.manifest.machine.cpus for run in runs})
    else:
        _draw(block, rows, cast, present)
    return block


def _nothing(block: Block, cast: Cast, present: Sequence[str], runs: Sequence[RunFound]) -> str:
    """Say why there is nothing to show: no design, and of all runs at most the bounds `present`, has any."""
    if block.query.reads_log and block.frame.is_empty() and not any(run.has_log for run in runs):
        return NO_LOG
    if present:
        return f"{block.item.empty.removesuffix('.')}, but for {', '.join(map(cast.said, present))}."
    return block.item.empty


def _left_out(
    block: Block, rows: pl.DataFrame, cast: Cast, present: Sequence[str], runs: Sequence[RunFound]
) -> list[str]:
    """Say which runs are not shown, and why."""
    item, said = block.item, []
    absent = [name for name in cast.allocators if name not in present]
    answered = set(block.frame["run"].to_list())
    logged = {run.name for run in runs if run.has_log}
    unknown = [n for n in absent if block.query.reads_log and n not in logged and n not in answered]
    if none := [name for name in absent if name not in unknown]:
        said.append(f"{item.none}: {', '.join(none)}.")
    if unknown:
        said.append(f"No log: {', '.join(unknown)}.")
    if far := beyond(item, rows, cast):
        said.append(f"Beyond the axis: {'; '.join(far)}.")
    asked = {run.name for run in runs}
    if long := [cast.said(name) for name in cast.bounds if name not in asked]:
        said.append(f"Takes too long for this axis: {', '.join(long)}.")
    return said


def _check(item: Item, frame: pl.DataFrame) -> None:
    wanted = {"run", item.x, item.y, item.series, item.low, item.high, item.facet}
    wanted = (wanted | item.columns.keys() | item.where.keys()) - {""}
    wanted |= set(_COLUMNS.get(item.chart, ()))
    missing = sorted(wanted - set(frame.columns))
    if missing:
        raise InputError(
            f"report item '{item.title}': query '{item.query}' has no column {', '.join(missing)}; "
            f"it has {', '.join(frame.columns)}"
        )
    if len(frame) > MOST_ROWS:
        raise InputError(
            f"report item '{item.title}': query '{item.query}' gives {len(frame):,} rows, wanted at most "
            f"{MOST_ROWS:,}; group them in the SQL"
        )


def _drawn(item: Item, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows to draw: those that `where` asks for, of runs of which a measure is there and not always 0."""
    rows = frame
    for name, value in item.where.items():
        rows = rows.filter(pl.col(name) == value)
    if item.measures:
        something = pl.any_horizontal(pl.col(name).fill_null(0) != 0 for name in item.measures)
        worth = rows.filter(something)["run"].unique().to_list()
        rows = rows.filter(pl.col("run").is_in(worth))
    if item.chart == "tail":
        rows = rows.filter((pl.col(item.x) > 0) & (pl.col(item.y) > 0))
    return rows


def _draw(block: Block, rows: pl.DataFrame, cast: Cast, present: Sequence[str]) -> None:
    """Add the charts and what explains them."""
    item = block.item
    allocators = [name for name in present if name in cast.allocators]
    if item.chart == "lines" and len(allocators) > MOST_LINES:
        block.axes = f"Up: {item.y_title or item.y}. Across: {item.x_title or item.x}. All on equal axes."
        block.legend = [name for name in present if name in cast.bounds]
        block.charts = [_small(item, rows, cast, run) for run in allocators]
    else:
        block.charts = _charts(item, rows, cast, present)
        block.legend = list(present) if item.chart in ("lines", "tail") else []
    if item.series:
        parts = rows[item.series].unique(maintain_order=True).to_list()
        block.parts = list(part_colours(list(map(str, parts))).items())


def _draw_timelines(block: Block, present: Sequence[str], cast: Cast, cpus: dict[str, int]) -> None:
    """Add a chart for each design that did anything, with the event it is about."""
    item, frame = block.item, block.frame
    for run in (name for name in present if name in cast.allocators):
        own = frame.filter(pl.col("run") == run)
        spec = timeline.timeline(item, own, cpus[run])
        spec["transform"].insert(0, {"filter": {"field": "run", "equal": run}})
        words = timeline.timeline_in_words(item, own, run)
        block.charts.append(Chart(f"{run}: {timeline.event_in_words(own)}", spec, words, run))
    seen = set(frame["doing"].to_list())
    block.parts = [(doing, colour) for doing, colour in timeline.DOING.items() if doing in seen]


def _charts(item: Item, rows: pl.DataFrame, cast: Cast, present: Sequence[str]) -> list[Chart]:
    """One chart, or one for each value of the facet."""
    charts = []
    facets = rows[item.facet].unique(maintain_order=True).sort().to_list() if item.facet else [None]
    for facet in facets:
        part = rows.filter(pl.col(item.facet) == facet) if item.facet else rows
        spec = chart(item, part, cast)
        if item.facet:
            spec["transform"].insert(0, {"filter": {"field": item.facet, "equal": facet}})
        spec["transform"].insert(0, {"filter": {"field": "run", "oneOf": list(present)}})
        charts.append(Chart(str(facet or ""), spec, chart_in_words(item, part, cast, str(facet or ""))))
    return charts


def _small(item: Item, rows: pl.DataFrame, cast: Cast, run: str) -> Chart:
    """A small chart of one run and the bounds, on axes that all runs share."""
    shown = [run, *cast.bounds]
    spec = chart(item, rows, cast) | {"height": 90}
    # There is no room for a title beside so small an axis; the page says it once for all.
    spec["encoding"]["y"]["title"] = spec["encoding"]["x"]["title"] = None
    spec["encoding"]["x"]["axis"]["tickCount"] = 3
    spec["transform"].insert(0, {"filter": {"field": "run", "oneOf": shown}})
    return Chart(run, spec, chart_in_words(item, rows.filter(pl.col("run") == run), cast), run)
