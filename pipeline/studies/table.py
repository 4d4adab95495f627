"""Tables of the studies' documents: rows of text, and how they are derived from items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from string import Formatter
from typing import Any

from pipeline.io.tables import align_columns, markdown_table

Column = str | Callable[[Any], str]
"""How to derive a cell from an item: a function, or an attribute with a format ("totals.ipis:,").

None and NaN are shown as "-".
"""
Columns = Mapping[str, Column]
"""Columns by heading."""


class _Cells(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        absent = value is None or (isinstance(value, float) and isnan(value))
        return "-" if absent else format(value, format_spec)


def cell(item: object, column: Column) -> str:
    """Return the text of a cell."""
    if not isinstance(column, str):
        return column(item)
    return _Cells().format(f"{{0.{column}}}", item)


@dataclass(frozen=True)
class Table:
    """A table with an optional caption."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    @classmethod
    def of(cls, items: Iterable[object], columns: Columns, caption: str = "") -> Table:
        """Make a table with a row for each item."""
        rows = [[cell(item, column) for column in columns.values()] for item in items]
        return cls(list(columns), rows, caption)

    def text(self) -> str:
        """Render the table for the terminal."""
        lines = align_columns([tuple(self.head), *(tuple(row) for row in self.rows)])
        return f"{self.caption}\n{lines}" if self.caption else lines

    def markdown(self) -> str:
        """Render the table as Markdown."""
        lines = markdown_table(self.head, self.rows).rstrip()
        return f"{self.caption}\n\n{lines}" if self.caption else lines


def capitalize(text: str) -> str:
    """Capitalize the first letter only."""
    return text[:1].upper() + text[1:]
