"""The rows of a query as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from pipeline.io.numbers import NS_OF_UNIT, format_quantity
from pipeline.report.chart_kind import ChartKind
from pipeline.report.definition import Item
from pipeline.report.document import Block, Cell, Row, Table
from pipeline.report.groups import group_runs
from pipeline.report.vega import Plot
from pipeline.runs.store import Run
from pipeline.sql.output import format_cell

DIGITS = 3


class RowsAsTable(ChartKind):
    """Rows of the query, including rows of measured locks."""

    draws = (
        "rows as they are, with `x` of those runs only where that is not 0; `columns` chooses and names "
        "them, `best` marks the best of one"
    )
    requires = ()
    bounds_alone = True

    def fill(self, block: Block, plot: Plot, runs: Sequence[Run]) -> None:
        """Add the table; with highlighted best values, one for each group of comparable runs."""
        groups = [{run.name for entry in group for run in entry.values()} for group in group_runs(runs)]
        if not plot.item.best or len(groups) < 2:
            block.tables = [_make_table(block, plot, plot.rows, runs)]
            return
        titles = name_groups(runs, groups)
        for names, title in zip(groups, titles, strict=True):
            rows = plot.rows.filter(pl.col("run").is_in(list(names)))
            if not rows.is_empty():
                block.tables.append(replace(_make_table(block, plot, rows, runs), title=title))


def name_groups(runs: Sequence[Run], groups: Sequence[set[str]]) -> list[str]:
    """The differences between groups of runs: trace, machine, CPUs and loop."""
    firsts = [next(run.manifest for run in runs if run.name in names) for names in groups]
    words = [
        (
            f"{m.trace.name} on {m.machine.name}",
            f"{m.machine.cpus} CPUs",
            f"{m.loop} loop",
            m.trace.sha256[:8],
        )
        for m in firsts
    ]
    differing = [0]
    for k in range(1, 4):
        # Words that distinguish no further groups are omitted.
        if len({tuple(own[j] for j in (*differing, k)) for own in words}) > len(
            {tuple(own[j] for j in differing) for own in words}
        ):
            differing.append(k)
    return [", ".join(own[k] for k in differing) for own in words]


def _make_table(block: Block, plot: Plot, frame: pl.DataFrame, runs: Sequence[Run]) -> Table:
    """Make a table of rows; bounds and runs with findings are never highlighted as best."""
    item = plot.item
    apart = {*plot.styles.bounds, *plot.styles.measured}
    beside = {*apart, *(run.name for run in runs if run.manifest.findings)}
    shown = list(item.columns) or frame.columns
    headings, units = [], []
    for name in shown:
        heading = block.heading(name)
        units.append({"µs": "us"}.get(heading.unit, heading.unit) if heading.number else "")
        unit = "" if units[-1] in NS_OF_UNIT else heading.unit
        headings.append(replace(heading, label=item.columns.get(name, heading.label), unit=unit))
    # In a table with several rows per run, such as map and unmap, corresponding rows are compared.
    of_rows = (
        [name for name in shown if name != "run" and not frame.schema[name].is_numeric()] if item.best else []
    )

    unit_of = dict(zip(shown, units, strict=True))

    def read(name: str, value: Any) -> str:
        unit = unit_of.get(name, "")
        return (
            format_quantity(value, unit, DIGITS) if unit in NS_OF_UNIT else format_cell(name, value, DIGITS)
        )

    candidates = frame.filter(~pl.col("run").is_in(list(beside)))
    bests: dict[tuple[Any, ...], dict[str, str]] = {}
    for key in frame.select(of_rows).unique().iter_rows() if of_rows else [()]:
        part = candidates
        for name, value in zip(of_rows, key, strict=True):
            part = part.filter(pl.col(name).eq_missing(value))
        bests[key] = _best_texts(item, part, read)
    rows: list[Row] = []
    for row in frame.iter_rows(named=True):
        run, best = row["run"], bests[tuple(row[name] for name in of_rows)]
        cells = []
        for name, heading, unit in zip(shown, headings, units, strict=True):
            value = row[name]
            text = read(name, value)
            marked = run not in beside and bool(text) and text == best.get(name)
            number = float(value) if unit and isinstance(value, int | float) else None
            cells.append(Cell(text or "–", heading.number, name == "run", marked, value=number))
        repeated = shown[0] == "run" and bool(rows) and rows[-1].runs == (run,)
        rows.append(Row(cells, (run,), run in apart, repeated))
    return Table(headings, rows)


def _best_texts(item: Item, frame: pl.DataFrame, read: Callable[[str, Any], str]) -> dict[str, str]:
    """The best value of each column, as formatted."""
    bests = {}
    for name, which in item.best.items():
        values = frame[name].drop_nulls()
        if values.is_empty():
            continue
        best = read(name, values.max() if which == "most" else values.min())
        # Values with the same text are equally good; if all are equal, none is highlighted.
        if any(read(name, value) != best for value in values):
            bests[name] = best
    return bests


KIND = RowsAsTable()
