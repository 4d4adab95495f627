"""Tables as text: aligned columns for the terminal, and Markdown for documents."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from pipeline.errors import printable

# Start of an HTML tag, comment or declaration.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def align_columns(rows: Iterable[Sequence[str]], right: Collection[int] = (), indent: str = "") -> str:
    """Align cells in columns, to the right at the positions in `right`; each line ends in a newline.

    A column without text is omitted; control characters are escaped.
    """
    columns = []
    for position, column in enumerate(zip(*rows, strict=True)):
        cells = [printable(cell) for cell in column]
        width = max(map(len, cells))
        if width:
            pad = str.rjust if position in right else str.ljust
            columns.append([pad(cell, width) for cell in cells])
    lines = (indent + "  ".join(cells).rstrip() for cells in zip(*columns, strict=True))
    return "".join(f"{line}\n" for line in lines)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with a header; each line ends in a newline. HTML tags in cells are escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(_markdown_cell, cells)) + " |\n"

    return line(head) + line(["---"] * len(head)) + "".join(line(row) for row in rows)


def _markdown_cell(cell: object) -> str:
    return _TAG.sub("&lt;", printable(str(cell)).replace("|", "\\|"))


def titled_columns(title: str, rows: Iterable[Sequence[str]], end: str = "") -> str:
    """Return rows aligned and indented below a title, then `end`; "" if there are no rows."""
    text = align_columns(rows, indent="  ")
    return f"{title}:\n{text}{end}" if text else ""
