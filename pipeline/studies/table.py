"""Tables of the studies' documents: rows of text, and how they follow from items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from string import Formatter
from typing import Any

from pipeline.io.tables import align_columns, markdown_table

Column = str | Callable[[Any], str]
"""How a cell follows from a table's item: a function, or an attribute with its format ("totals.ipis:,").

None and what is not a number are shown as "-".
"""
Columns = Mapping[str, Column]
"""Columns by their heads."""


class _Cells(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        absent = value is None or (isinstance(value, float) and isnan(value))
        return "-" if absent else format(value, format_spec)


def cell(item: object, column: Column) -> str:
    """Text of one cell."""
    if not isinstance(column, str):
        return column(item)
    return _Cells().format(f"{{0.{column}}}", item)


@dataclass(frozen=True)
class Table:
    """A table, with a line that says what it shows."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    @classmethod
    def of(cls, items: Iterable[object], columns: Columns, caption: str = "") -> Table:
        """A row for each item."""
        rows = [[cell(item, column) for column in columns.values()] for item in items]
        return cls(list(columns), rows, caption)

    def text(self) -> str:
        """The table for the terminal."""
        lines = align_columns([tuple(self.head), *(tuple(row) for row in self.rows)])
        return f"{self.caption}\n{lines}" if self.caption else lines

    def markdown(self) -> str:
        """The table for a document."""
        lines = markdown_table(self.head, self.rows).rstrip()
        return f"{self.caption}\n\n{lines}" if self.caption else lines


def capitalize(text: str) -> str:
    """Begin a sentence with a capital letter and leave the rest as it is."""
    return text[:1].upper() + text[1:]
