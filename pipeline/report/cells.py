"""Tables of the report: cells as text, with what marks them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from pipeline.report.definition import Item
from pipeline.sql.library import Query
from pipeline.sql.output import format_cell


@dataclass(frozen=True)
class Head:
    """Head of a column: label, unit ("" for none), meaning, and whether its cells are numbers."""

    label: str
    unit: str
    doc: str
    number: bool


@dataclass(frozen=True)
class Cell:
    """One cell as text; what names a run carries its colour, `again` repeats the row above."""

    text: str
    number: bool = False
    names_run: bool = False
    again: bool = False
    best: bool = False


@dataclass(frozen=True)
class Row:
    """Cells, the runs that they are about, and whether the row stands apart from the others."""

    cells: list[Cell]
    runs: tuple[str, ...] = ()
    apart: bool = False

    @property
    def again(self) -> bool:
        """Whether the row is about the same run as the one above."""
        return bool(self.cells) and self.cells[0].again


@dataclass(frozen=True)
class Table:
    """A table with the words above it and the notes below."""

    title: str
    words: str
    heads: list[Head]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def table(
    item: Item,
    query: Query,
    frame: pl.DataFrame,
    bounds: Collection[str] = (),
    stuck: Collection[str] = (),
) -> Table:
    """Make the table of `item` from the rows of its query, which are not empty.

    `bounds` stand apart; neither they nor runs that got `stuck` are best at anything.
    """
    beside = {*bounds, *stuck}
    shown = list(item.columns) or frame.columns
    heads = []
    for name in shown:
        made = head(name, query, frame)
        heads.append(Head(item.columns.get(name, made.label), made.unit, made.doc, made.number))
    bests = _bests(item.best, shown, frame.filter(~pl.col("run").is_in(list(beside))))
    names = frame["run"].to_list()
    first_is_run = shown[0] == "run"
    rows = []
    for position, values in enumerate(frame.select(shown).iter_rows()):
        again = first_is_run and position > 0 and names[position] == names[position - 1]
        cells = []
        for name, column, value in zip(shown, heads, values, strict=True):
            text = format_cell(name, value, 3)
            cells.append(
                Cell(
                    text or "–",
                    column.number,
                    names_run=name == "run",
                    again=name == "run" and again,
                    best=names[position] not in beside and text == bests.get(name),
                )
            )
        rows.append(Row(cells, (names[position],), apart=names[position] in bounds))
    return Table("", "", heads, rows)


def _bests(wanted: Mapping[str, str], shown: Sequence[str], frame: pl.DataFrame) -> dict[str, str]:
    """The best value of each column, as it reads."""
    bests = {}
    for name, which in wanted.items():
        values = frame[name].drop_nulls()
        best = format_cell(name, values.max() if which == "most" else values.min(), 3)
        # What reads the same is as good: no run is told from another by digits that nobody sees.
        if name in shown and any(format_cell(name, value, 3) != best for value in values):
            bests[name] = best
    return bests


def head(name: str, query: Query, frame: pl.DataFrame) -> Head:
    """Label, unit and meaning of a query's column; a unit that the name ends in is not said twice."""
    column = next((c for c in query.columns if c.name == name), None)
    unit = column.unit if column else ""
    label = name
    for suffix in ("_percent", "_us", "_ms", "_ns", "_kib", "_mib"):
        if unit and label.endswith(suffix):
            label = label.removesuffix(suffix)
    return Head(
        label.replace("_", " "),
        "µs" if unit == "us" else unit,
        column.doc if column else "",
        frame.schema[name].is_numeric(),
    )
