"""What a report is made of, whatever its form: parts, blocks, tables and charts."""

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
HINT = "Pick runs here, in any legend or in a chart to see them in every chart and table; Escape clears."


@dataclass(frozen=True)
class Heading:
    """Heading of a column: label, unit ("" for none), meaning, and whether its cells are numbers."""

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
    """One cell as text; what names a run carries its colour."""

    text: str
    number: bool = False
    names_run: bool = False
    best: bool = False
    run: str = ""
    """The run whose colour it carries, where that is not its text."""
    value: float | None = None
    """What the row is sorted by, where the text does not tell."""
    detail: str = ""
    """Said below the text in smaller letters."""

    @property
    def full_text(self) -> str:
        """The text with what is said below it."""
        return f"{self.text} ({self.detail})" if self.detail else self.text


@dataclass(frozen=True)
class Row:
    """Cells, and the runs that they are about."""

    cells: list[Cell]
    runs: tuple[str, ...]
    apart: bool = False
    """Whether the row stands apart from the others."""
    repeated: bool = False
    """Whether the row is about the run of the one above, whose name is in the first cell."""

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
    """Charts that stand above it; the block has them too."""


@dataclass(frozen=True)
class Chart:
    """One drawing: its specification without the data, and in words; `run` where it is of one run."""

    title: str
    spec: Spec
    alt_text: str
    run: str = ""


@dataclass
class Block:
    """What the page, and every other form of the report, shows of one item."""

    item: Item
    query: Query
    frame: pl.DataFrame
    paths: tuple[Path, ...] = ()
    """Directories of the runs that were asked, and files of measured locks."""
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
    def params(self) -> dict[str, Any]:
        """Every parameter of the query with its value."""
        return {param.name: param.default for param in self.query.params} | self.item.params

    @property
    def headings(self) -> list[Heading]:
        """Heading of each column of the query's answer."""
        return [self.heading(name) for name in self.frame.columns]

    def heading(self, name: str) -> Heading:
        """Label, unit and meaning of a column; a unit that the name ends in is left out of the label."""
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
        """Rows of the query's answer as a reader wants them."""
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
        """The command that asks it again."""
        own = self.item.query.endswith(".sql")
        which = ["--file", _shortest(self.query.path)] if own else ["--name", self.item.query]
        values = [word for name, value in self.item.params.items() for word in ("--set", f"{name}={value}")]
        runs = [word for path in self.paths for word in ("--runs", _shortest(path))]
        return shlex.join(["pipeline", "sql", *which, *values, *runs])


def _shortest(path: Path) -> str:
    """A path as a command may name it: from the working directory, if it lies below."""
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
    """Everything that a page, or another form of the report, is made from."""

    title: str
    text: str
    parts: list[Part]
    runs: list[Run]
    styles: RunStyles
    command: str | None = None
    template: str = "page"
    """Stem of the templates of page and Markdown."""
    facts: Sequence[tuple[str, str]] = ()
    """What is to be known of runs that are too many to be named."""
    warnings: Sequence[str] = ()
    answer: str = ""
    """The answer in a few sentences, where no ranking gives it."""
    hint: str = HINT

    @property
    def leads_with_ranking(self) -> bool:
        """Whether the first thing on the page is a ranking."""
        return bool(self.blocks) and self.blocks[0].item.chart == "ranking"

    @property
    def blocks(self) -> list[Block]:
        """Every block, in order."""
        return [block for part in self.parts for block in part.blocks]
