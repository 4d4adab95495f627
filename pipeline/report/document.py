"""The content of a report, independent of its format: parts, blocks, tables and charts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.report.definition import Item
from pipeline.report.styles import RunStyles
from pipeline.runs.store import Run
from pipeline.sql.library import Query, fill_placeholders
from pipeline.sql.output import format_cell

Spec = dict[str, Any]
HINT = "Click runs here, in any legend or in a chart to highlight them everywhere. Press Escape to clear."


@dataclass(frozen=True)
class Heading:
    """Heading of a column: label, unit ("" for none), description, and whether its cells are numbers."""

    label: str
    unit: str
    doc: str
    number: bool

    @property
    def full_label(self) -> str:
        """The label with the unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True)
class Cell:
    """One cell as text; a cell with the name of a run shows the run's colour."""

    text: str
    number: bool = False
    names_run: bool = False
    best: bool = False
    run: str = ""
    """The run whose colour the cell shows, if the text is not the run's name."""
    value: float | None = None
    """Sort key, if it is not the number in the text."""
    detail: str = ""
    """Note in smaller letters below the text."""

    @property
    def full_text(self) -> str:
        """The text with its note."""
        return f"{self.text} ({self.detail})" if self.detail else self.text


@dataclass(frozen=True)
class Row:
    """Cells, and the runs that they describe."""

    cells: list[Cell]
    runs: tuple[str, ...]
    apart: bool = False
    """Whether the row is set off from the others."""
    repeated: bool = False
    """Whether the row describes the same run as the row above."""

    @property
    def texts(self) -> list[str]:
        """The text of each cell."""
        return [cell.full_text for cell in self.cells]


@dataclass(frozen=True)
class Table:
    """A table with the sentences above it and the notes below."""

    headings: list[Heading]
    rows: list[Row]
    title: str = ""
    verdict: str = ""
    notes: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    """Charts above the table; the block has them too."""


@dataclass(frozen=True)
class Chart:
    """One drawing: specification without the data, and text alternative; `run` if it shows one run."""

    title: str
    spec: Spec
    alt_text: str
    run: str = ""


@dataclass
class Block:
    """The content of one item, in every format of the report."""

    item: Item
    query: Query
    frame: pl.DataFrame
    paths: tuple[Path, ...] = ()
    """Directories of the runs that were queried, and files of measured locks."""
    empty: str = ""
    """Text in place of a table or charts."""
    left_out: str = ""
    axes: str = ""
    """Titles of the axes of small charts, which have no room for them."""
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    legend: list[str] = field(default_factory=list)
    parts: list[tuple[str, str]] = field(default_factory=list)
    """Parts of stacked bars, with the names of their colours."""

    @property
    def params(self) -> dict[str, Any]:
        """Every parameter of the query with its value."""
        return {param.name: param.default for param in self.query.params} | self.item.params

    @property
    def headings(self) -> list[Heading]:
        """Heading of each column of the query's result."""
        return [self.heading(name) for name in self.frame.columns]

    def heading(self, name: str) -> Heading:
        """Label, unit and description of a column; the label omits a unit at the end of the name."""
        column = next((c for c in self.query.columns if c.name == name), None)
        unit = column.unit if column else ""
        label = name
        for suffix in ("_percent", "_us", "_ms", "_ns", "_kib", "_mib") if unit else ():
            label = label.removesuffix(suffix)
        return Heading(
            label.replace("_", " "),
            "µs" if unit == "us" else unit,
            column.doc if column else "",
            self.frame.schema[name].is_numeric(),
        )

    @property
    def readable_rows(self) -> list[list[str]]:
        """Rows of the query's result, formatted for reading."""
        names = self.frame.columns
        return [
            [format_cell(name, value) or "–" for name, value in zip(names, row, strict=True)]
            for row in self.frame.iter_rows()
        ]

    @property
    def sql(self) -> str:
        """The query with its parameters filled in."""
        return fill_placeholders(self.query, self.params)

    @property
    def command(self) -> str:
        """The command that repeats the query."""
        own = self.item.query.endswith(".sql")
        which = ["--file", _shortest(self.query.path)] if own else ["--name", self.item.query]
        values = [word for name, value in self.item.params.items() for word in ("--set", f"{name}={value}")]
        runs = [word for path in self.paths for word in ("--runs", _shortest(path))]
        return shlex.join(["pipeline", "sql", *which, *values, *runs])


def _shortest(path: Path) -> str:
    """A path for a command: relative if it is below the working directory."""
    working = Path.cwd()
    return str(path.relative_to(working) if path.is_relative_to(working) else path)


@dataclass(frozen=True)
class Part:
    """A section of the report: a title with its blocks."""

    title: str
    text: str
    blocks: list[Block]


@dataclass(frozen=True)
class Document:
    """The whole report, from which a page or another format is rendered."""

    title: str
    text: str
    parts: list[Part]
    runs: list[Run]
    styles: RunStyles
    command: str | None = None
    template: str = "page"
    """Stem of the file names of the HTML and Markdown templates."""
    facts: Sequence[tuple[str, str]] = ()
    """Facts about runs that are too many to list."""
    warnings: Sequence[str] = ()
    answer: str = ""
    """The answer in a few sentences, if no ranking gives it."""
    hint: str = HINT

    @property
    def leads_with_ranking(self) -> bool:
        """Whether the page begins with a ranking of runs."""
        return bool(self.blocks) and self.blocks[0].item.chart == "ranking"

    @property
    def blocks(self) -> list[Block]:
        """Every block, in order."""
        return [block for part in self.parts for block in part.blocks]
