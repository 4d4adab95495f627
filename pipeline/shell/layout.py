"""Display of results that may be wider than the screen."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable

import polars as pl

from pipeline.sql.output import format_cell, format_frame

MODES = {
    "auto": "table if it fits, else vertical for few rows, else page",
    "table": "a table of any width",
    "vertical": "one line per column, row after row",
    "page": "a table in a pager: $PAGER, or less without line wrapping",
}
_FEW_ROWS = 5

Write = Callable[[str], None]


def show_answer(frame: pl.DataFrame, form: str, mode: str, columns: int | None, write: Write) -> None:
    """Write a result in one of `output.FORMATS`; tables are laid out by `mode`.

    `columns` is the width of the screen. Without a screen it is None: no pager is started, and tables may
    have any width.
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
    """Write each row as a line with its number and one line per column."""
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
    """Show text in the user's pager; return False if there is none."""
    words = shlex.split(os.environ.get("PAGER", "less"))
    if not words or shutil.which(words[0]) is None:
        return False
    # less does not wrap lines, leaves the text on the screen, and exits if the text fits.
    own = {"LESS": "-SFX"} if "LESS" not in os.environ else {}
    subprocess.run(words, input=text, text=True, check=False, env=os.environ | own)
    return True
