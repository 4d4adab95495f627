"""Tables as text: columns aligned for the terminal, and Markdown for the documents that commands write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def align_columns(rows: Iterable[Sequence[str]], right: Collection[int] = (), indent: str = "") -> str:
    """Align cells in columns, those at the positions `right` to the right; each line ends in a newline.

    A column without any text is left out.
    """
    columns = []
    for position, cells in enumerate(zip(*rows, strict=True)):
        width = max(map(len, cells))
        if width:
            pad = str.rjust if position in right else str.ljust
            columns.append([pad(cell, width) for cell in cells])
    lines = (indent + "  ".join(cells).rstrip() for cells in zip(*columns, strict=True))
    return "".join(f"{line}\n" for line in lines)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with a head; each line ends in a newline."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"

    return line(head) + line(["---"] * len(head)) + "".join(line(row) for row in rows)
