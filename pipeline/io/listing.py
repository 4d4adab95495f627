"""Lists for the terminal: names with one line of description each."""

from __future__ import annotations

from collections.abc import Iterable


def listing(rows: Iterable[tuple[str, ...]]) -> str:
    """Align rows of cells in columns, the last one free; each line ends in a newline."""
    table = [tuple(row) for row in rows]
    if not table:
        return ""
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]) - 1)]
    return "".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]])
        + "\n"
        for row in table
    )
