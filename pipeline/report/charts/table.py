"""The rows of a query as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from pipeline.report.chart_kind import ChartKind
from pipeline.report.definition import Item
from pipeline.report.document import Block, Cell, Row, Table
from pipeline.report.vega import Plot
from pipeline.runs.store import Run
from pipeline.sql.output import format_cell

DIGITS = 3


class RowsAsTable(ChartKind):
    """Rows as they are, those of measured locks too."""

    draws = (
        "rows as they are, with `x` of those runs only where that is not 0; `columns` chooses and names "
        "them, `best` marks the best of one"
    )
    requires = ()
    bounds_alone = True

    def fill(self, block: Block, plot: Plot, runs: Sequence[Run]) -> None:
        """Add the table; bounds stand apart, and neither they nor runs with findings are best at anything."""
        item, frame = plot.item, plot.rows
        apart = {*plot.styles.bounds, *plot.styles.measured}
        beside = {*apart, *(run.name for run in runs if run.manifest.findings)}
        shown = list(item.columns) or frame.columns
        headings = []
        for name in shown:
            heading = block.heading(name)
            headings.append(replace(heading, label=item.columns.get(name, heading.label)))
        bests = _best_texts(item, frame.filter(~pl.col("run").is_in(list(beside))))
        rows: list[Row] = []
        for run, *values in frame.select(pl.col("run").alias(""), *shown).iter_rows():
            cells = []
            for name, heading, value in zip(shown, headings, values, strict=True):
                text = format_cell(name, value, DIGITS)
                best = run not in beside and text == bests.get(name)
                cells.append(Cell(text or "–", heading.number, name == "run", best))
            repeated = shown[0] == "run" and bool(rows) and rows[-1].runs == (run,)
            rows.append(Row(cells, (run,), run in apart, repeated))
        block.tables = [Table(headings, rows)]


def _best_texts(item: Item, frame: pl.DataFrame) -> dict[str, str]:
    """The best value of each column, as it reads."""
    bests = {}
    for name, which in item.best.items():
        values = frame[name].drop_nulls()
        best = format_cell(name, values.max() if which == "most" else values.min(), DIGITS)
        # Values that read the same are equally good; where all do, none is marked.
        if any(format_cell(name, value, DIGITS) != best for value in values):
            bests[name] = best
    return bests


KIND = RowsAsTable()
