"""Compose the report of a sweep: curves for each numeric factor, and heat maps for two of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import duckdb
import polars as pl

from pipeline.allocators.api.contract import COST_BOUND
from pipeline.allocators.registry import resolve_allocator
from pipeline.errors import InputError, PipelineError
from pipeline.io.numbers import format_count, format_number, join_words
from pipeline.report.charts import KINDS
from pipeline.report.definition import Item
from pipeline.report.document import HINT, Block, Document, Part
from pipeline.report.ranking_table import describe_pairing
from pipeline.report.styles import RunStyles
from pipeline.report.sweep.answer import describe_sweep
from pipeline.report.sweep.measures import MEASURES, SHARE, THROUGHPUT, Measure, results_sql
from pipeline.report.sweep.picture import COLUMNS, compare_with_best, draw_comparison
from pipeline.report.sweep.points import Points, make_points
from pipeline.sql.library import OutputColumn, Query
from pipeline.sweeps.directory import open_sweep
from pipeline.sweeps.results import RESULTS, read_results

_OF_RUNS = ("trace", "trace_operations", "machine", "cpus", "lowmem", "loop", "jitter_percent")
_SPEAK_FOR_THEMSELVES = ("trace", "machine", "loop")
_COUNTED = ("cpus", "trace_operations")
_SETTING = "setting"
_SHOWN = 5
_TEXT = (
    "Each value is the mean of different runs. Bands are 95 % intervals of Student's t. Shares are computed "
    "in pairs of runs with the same seeds."
)
_TEXT_OF_ONE = "The runs are not replicated, so there are no intervals."


def compose_sweep(path: Path, command: str | None = None, title: str | None = None) -> Document:
    """Make the report of the sweep at `path`.

    Raises InputError if the directory is not a sweep, or if no run of the sweep is done.
    """
    table = read_results(open_sweep(path))
    known = {column.name for column in RESULTS}
    factors = [*_OF_RUNS, *(name for name in table.column_names if name not in known)]
    sql = results_sql(factors)
    with duckdb.connect() as connection:
        connection.register("results", table)
        rows = connection.sql(sql).pl()
    whole = rows.filter(pl.col("operations") == pl.col("trace_operations"))
    if whole.is_empty():
        raise InputError(f"{path}: no run of this sweep is done; 'pipeline sweep status {path}' shows why")
    points = make_points(whole.iter_rows(named=True), factors)
    page = _Page(points, _style(points), path, sql)
    results = pl.DataFrame(table)
    return Document(
        title or _name_question(path, points),
        _TEXT if page.replicated else _TEXT_OF_ONE,
        list(page.parts()),
        [],
        page.styles,
        command,
        template="sweep",
        answer=describe_sweep(points, page.styles.allocators),
        hint=HINT.replace("runs", "designs", 1),
        facts=list(_facts(points, results)),
        warnings=list(_warnings(points, results, len(rows) - len(whole))),
    )


def _name_question(path: Path, points: Points) -> str:
    """The title of the report: the question that it answers."""
    name = path.resolve().name
    if not points.factors:
        return f"{name}: which design?"
    return f"{name}: which design, over {join_words(map(_readable, points.factors))}?"


def _style(points: Points) -> RunStyles:
    """Separate designs from bounds, if the designs are available."""
    bounds = {}
    for allocator, name in points.names.items():
        try:
            bound = resolve_allocator(allocator).bound
        except PipelineError:
            continue
        if bound:
            bounds[name] = bound
    if len(bounds) == len(points.names):
        bounds = {}
    return RunStyles(tuple(name for name in points.series if name not in bounds), bounds)


@dataclass(frozen=True)
class _Page:
    points: Points
    styles: RunStyles
    sweep: Path
    sql: str

    @cached_property
    def replicated(self) -> bool:
        """Whether any point has an interval."""
        return any(different > 1 for _, different in self.points.counts())

    @cached_property
    def reference(self) -> str:
        """The reference series: free mapping, else the series with the highest mean throughput."""
        free = [name for name, bound in self.styles.bounds.items() if bound == COST_BOUND]
        if free:
            return free[0]
        rates: dict[str, list[float]] = {}
        for (series, _), estimate in self.points.estimate(THROUGHPUT.column).items():
            rates.setdefault(series, []).append(estimate.value)
        return max(rates, key=lambda series: fmean(rates[series]))

    def parts(self) -> Iterator[Part]:
        """The ranking, a section for each factor that is a number, or one for all others, and heat maps."""
        if (ranking := self._ranking()).charts:
            yield Part("The answer", "", [ranking])
        numeric = self.points.numeric
        for factor in numeric:
            others = [name for name in self.points.factors if name != factor]
            yield Part(f"Over {_readable(factor)}", "", list(self._curves(factor, others)))
        if not numeric:
            yield Part("The designs", "", list(self._curves(_SETTING, self.points.factors)))
        if len(numeric) > 1:
            pair = sorted(numeric, key=lambda name: -len(self.points.values[name]))[:2]
            yield Part("Two factors at once", "", list(self._heatmaps(*pair)))

    def _ranking(self) -> Block:
        """The designs, each relative to the best at each setting."""
        frame = compare_with_best(self.points, self.styles.allocators)
        frame = frame.with_columns(pl.Series(_SETTING, _describe_settings(frame, self.points.factors)))
        frame = frame.select("run", _SETTING, *(column.name for column in COLUMNS))
        text = "One dot for each setting. Designs are sorted by geometric mean; each label gives the range."
        fields = {"query": "results", "chart": "dots", "name": "ranking", "x": "relative"}
        words = {"title": "The designs ranked", "text": text if self.points.factors else ""}
        item = Item.model_validate(fields | words)
        block = _SweepBlock(item, self._query(COLUMNS), frame, sweep=self.sweep)
        block.charts = draw_comparison(item, frame, self.styles)
        return block

    def _curves(self, factor: str, others: Sequence[str]) -> Iterator[Block]:
        interval = {"low": "low", "high": "high"} if self.replicated else {}
        facet = {"facet": _SETTING} if others and factor != _SETTING else {}
        for measure in self._measures():
            yield self._block(
                measure,
                others,
                chart="curves",
                name=f"{_dashed(measure.column)}-over-{_dashed(factor)}",
                x=factor,
                y=measure.column,
                x_title=_readable(factor),
                y_title=measure.axis,
                **interval,
                **facet,
            )

    def _heatmaps(self, across: str, up: str) -> Iterator[Block]:
        others = [name for name in self.points.factors if name not in (across, up)]
        for measure in self._measures()[:2]:
            yield self._block(
                measure,
                others,
                chart="heatmap",
                name=f"{_dashed(measure.column)}-over-{_dashed(across)}-and-{_dashed(up)}",
                x=across,
                y=up,
                value=measure.column,
                x_title=_readable(across),
                y_title=_readable(up),
                **({"facet": _SETTING} if others else {}),
            )

    def _measures(self) -> list[Measure]:
        compared = replace(SHARE, title=f"Throughput as a share of {self.reference}'s")
        return [THROUGHPUT, *([compared] if len(self.points.series) > 1 else []), *MEASURES[1:]]

    def _block(self, measure: Measure, others: Sequence[str], chart: str, **fields: str) -> Block:
        text = f"{measure.doc[0].upper()}{measure.doc[1:]}."
        if measure.column == SHARE.column:
            found = self.points.compare(THROUGHPUT.column, self.reference)
            text = f"{text} {describe_pairing(list(found.values()))}".rstrip()
        else:
            found = self.points.estimate(measure.column)
        frame = self.points.tabulate(found, measure.column)
        frame = frame.with_columns(pl.Series(_SETTING, _describe_settings(frame, others)))
        shown = ["run", *dict.fromkeys(fields[name] for name in ("x", "y", "facet") if name in fields)]
        frame = frame.select(*dict.fromkeys((*shown, measure.column, "low", "high", "runs")))
        words = {
            "title": measure.title,
            "text": text,
            "empty": f"{measure.title}: 0 in all runs.",
            "none": measure.none,
        }
        item = Item.model_validate({"query": "results", "chart": chart} | words | fields)
        columns = [
            OutputColumn(measure.column, measure.unit, measure.doc),
            OutputColumn("low", measure.unit, "lower end of the 95 % interval"),
            OutputColumn("high", measure.unit, "upper end of the interval"),
            OutputColumn("runs", "", "different runs averaged"),
        ]
        block = _SweepBlock(item, self._query(columns), frame, sweep=self.sweep)
        KINDS[chart].show(block, self.styles, [])
        return block

    def _query(self, made: Sequence[OutputColumn]) -> Query:
        """The query of all runs, with the documentation of the columns that are `made` from its rows."""
        docs = {column.name: column.doc for column in RESULTS}
        columns = [
            OutputColumn("run", "", "design"),
            OutputColumn(_SETTING, "", "values of the other factors"),
            *(OutputColumn(f, "", docs.get(f, "factor of the grid")) for f in self.points.factors),
            *made,
        ]
        question = "What are the results of each run of the sweep?"
        return Query("results", question, self.sql, (), tuple(columns), ("totals",), Path("results"))


@dataclass
class _SweepBlock(Block):
    """A block whose query reads a sweep."""

    sweep: Path = Path()

    @property
    def command(self) -> str:
        """The command that repeats the query."""
        return shlex.join(["pipeline", "sql", " ".join(self.sql.split()), "--runs", str(self.sweep)])


def _describe_settings(frame: pl.DataFrame, factors: Sequence[str]) -> list[str]:
    """The values of `factors` as text, for each row."""
    if not factors:
        return ["all"] * len(frame)
    return [
        ", ".join(_describe(name, value) for name, value in zip(factors, row, strict=True))
        for row in frame.select(factors).iter_rows()
    ]


def _describe(factor: str, value: Any) -> str:
    """One value of a factor as text."""
    if factor in _SPEAK_FOR_THEMSELVES:
        return str(value)
    text = format_number(value) or str(value)
    return f"{text} {_readable(factor)}" if factor in _COUNTED else f"{_readable(factor)} {text}"


def _readable(factor: str) -> str:
    words = {"cpus": "CPUs", "trace_operations": "operations", "jitter_percent": "jitter, %"}
    return words.get(factor, factor.replace("_", " "))


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _facts(points: Points, results: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """The varied factors, the values common to all runs, and the number of runs."""
    states = results["state"].value_counts(sort=True).iter_rows()
    yield "Runs", ", ".join(f"{count:,} {state}" for state, count in states)
    yield "Designs", join_words(points.series)
    done = results.filter(pl.col("state") == "done")
    alike = {name: done[name].unique().to_list() for name in _OF_RUNS if name not in points.values}
    for name, values in (points.values | alike).items():
        # Values that depend on another factor, and values that no run has, are omitted.
        if name in points.values or (len(values) == 1 and values[0] not in (0, "none")):
            words = _readable(name)
            yield f"{words[0].upper()}{words[1:]}", ", ".join(str(format_number(value)) for value in values)
    different = sorted({different for _, different in points.counts()})
    ends = " to ".join(f"{count}" for count in dict.fromkeys((different[0], different[-1])))
    yield (
        "Replications",
        "1: not replicated" if different[-1] == 1 else f"{ends} different runs per point",
    )


def _warnings(points: Points, results: pl.DataFrame, unfinished: int) -> Iterator[str]:
    """Warnings for the reader."""
    failed = results.filter(pl.col("state").is_in(["failed", "poison"]))
    if len(failed):
        problems = failed["problem"].drop_nulls().value_counts(sort=True)
        listed = [f"{problem} ({count})" for problem, count in problems.head(_SHOWN).iter_rows()]
        more = ", and others" if len(problems) > _SHOWN else ""
        yield f"{format_count(len(failed), 'run')} failed: {'; '.join(listed)}{more}."
    if unfinished:
        verb = "are" if unfinished > 1 else "is"
        yield f"{format_count(unfinished, 'run')} ended before the trace did and {verb} not shown."
    met = results.filter((pl.col("state") == "done") & (pl.col("findings") > 0))
    if len(met):
        labels = join_words(met["label"].unique(maintain_order=True).head(_SHOWN).to_list())
        yield f"{format_count(len(met), 'run')} met a hazard, such as a deadlock: runs of {labels}."
    if again := sum(different < runs for runs, different in points.counts()):
        yield (
            f"At {again} of {len(points.runs)} points, runs have equal fingerprints. They are repetitions of "
            "the same run and count once."
        )
