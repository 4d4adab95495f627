"""How the SQL shell shows an answer that may be wider than the screen."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable

import polars as pl

from pipeline.sql.output import format_cell, format_frame

MODES = {
    "auto": "a table if it fits, one row below the other if there are few, else pages",
    "table": "a table, whatever its width",
    "vertical": "one row below the other, a line for each column",
    "page": "a table in a pager: $PAGER, or less without wrapped lines",
}
_FEW_ROWS = 5

Write = Callable[[str], None]


def show_answer(frame: pl.DataFrame, form: str, mode: str, columns: int | None, write: Write) -> None:
    """Write an answer in one of `output.FORMATS`, a table as the mode wants it.

    `columns` is the width of the screen, None where there is none: then no pager is started, and a table is
    as wide as it is.
    """
    if form != "table" or mode == "table" or (mode == "auto" and columns is None):
        write(format_frame(frame, form))
        return
    if mode == "vertical":
        write(format_vertical(frame))
        return
    text = format_frame(frame, form)
    if mode == "auto" and max(map(len, text.splitlines()), default=0) <= (columns or 0):
        write(text)
    elif mode == "auto" and frame.height <= _FEW_ROWS:
        write(format_vertical(frame))
    elif columns is None or not _page(text):
        write(text)


def format_vertical(frame: pl.DataFrame) -> str:
    """Write each row as lines of column and value, under a line with its number."""
    width = max(map(len, frame.columns), default=0)
    lines = []
    for number, row in enumerate(frame.iter_rows(), 1):
        lines.append(f"-- row {number:,} --")
        lines += [
            f"{name:{width}}  {format_cell(name, value)}".rstrip()
            for name, value in zip(frame.columns, row, strict=True)
        ]
    return "".join(f"{line}\n" for line in lines or ["(no rows)"])


def _page(text: str) -> bool:
    """Show text in the user's pager; returns whether there is one."""
    words = shlex.split(os.environ.get("PAGER", "less"))
    if not words or shutil.which(words[0]) is None:
        return False
    # Without wrapped lines; what is shown stays on the screen, and what fits is not paged.
    own = {"LESS": "-SFX"} if "LESS" not in os.environ else {}
    subprocess.run(words, input=text, text=True, check=False, env=os.environ | own)
    return True
