"""Read lock measurements; the format is detected from the file's lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from pipeline.errors import InputError
from pipeline.importing.locks.contention import read_contention
from pipeline.importing.locks.lock_stat import LockStat
from pipeline.importing.locks.lockmeter import Lockmeter
from pipeline.importing.locks.lockmeter_rows import LockmeterRows
from pipeline.importing.locks.measured import MeasuredLocks, title_apart
from pipeline.importing.locks.perf_lock import PerfLock
from pipeline.importing.locks.sniff import find_lock_format
from pipeline.importing.text.blocks import BlockReader
from pipeline.importing.text.lines import split_lines
from pipeline.importing.text.tally import Tally
from pipeline.trace.lock_text import FORMATS


class LineReader(Protocol):
    """Reader of a tool's output, line by line."""

    @property
    def started(self) -> bool:
        """Whether the header of a table was read; lines before it are not output of the tool."""

    def take(self, line: str) -> bool:
        """Read a line; return whether it was recognised."""

    def finish(self) -> list[MeasuredLocks]:
        """Return the tables that have rows, in order."""


# No tool prints longer lines. Wider gaps are meaningless and slow to match, so they are shortened.
_LONGEST_LINE, _WIDE_GAP, _GAP = 1 << 14, r"[ \t]{64,}", " " * 64
# Maximum number of parts into which a mail program wraps the longest line, which is in /proc/lock_stat.
_MOST_PARTS = 4
_READERS: dict[str, Callable[[], LineReader]] = {
    "lock_stat": LockStat,
    "lockmeter": Lockmeter,
    "perf-lock": PerfLock,
    "perf-lock-csv": PerfLock,
    "lockmeter-rows": LockmeterRows,
}


def read_locks(path: Path) -> list[MeasuredLocks]:
    """Read the lock measurements in the file at `path`, plain or compressed, as a list of tables.

    Raises InputError if the file has no known format, no rows, or more unknown lines than rows.
    """
    form = find_lock_format(path)
    if form is None:
        raise InputError(
            f"{path}: expected lock measurements in one of these formats: {', '.join(FORMATS.values())}; "
            "the file has none of them; see docs/importing.md"
        )
    tables = [read_contention(path)] if form == "contention" else _read_lines(path, form)
    title_apart(tables)
    for table in tables:
        table.complete(path)
    return tables


def _read_lines(path: Path, form: str) -> list[MeasuredLocks]:
    reader, tally, text = _READERS[form](), Tally(), BlockReader(path)
    for number, line in _unknown_lines(reader, text):
        tally.lines = number
        tally.note_unknown(pl.Series([line]), np.zeros(1, np.int64), "not a line of this format")
    tables = reader.finish()
    found = sum(len(table.rows) for table in tables)
    unknown = tally.unknown + text.overlong
    if not found or unknown > found:
        listed = f" ({'; '.join(tally.quotes())})" if tally.unknown else ""
        raise InputError(
            f"{path}: expected the output of {FORMATS[form]}, found {found:,} lines of locks and {unknown:,} "
            f"unknown lines{listed}; the file is damaged or truncated: save the tool's output again"
        )
    for table in tables:
        table.losses = {"bad_lines": unknown, "cut_short": int(text.cut_short)} | table.losses
        table.notes += [f"bad {said}" for said in tally.unknown_lines()]
    return tables


def _unknown_lines(reader: LineReader, text: BlockReader) -> Iterator[tuple[int, str]]:
    """Pass each line to `reader`; yield the unrecognised lines after the first header, with their numbers.

    Consecutive unrecognised lines may be parts of a line that a mail program has wrapped.
    """
    parts: list[tuple[int, str]] = []
    for number, line in _numbered_lines(text):
        below_head, left = reader.started, parts
        if len(line) <= _LONGEST_LINE and reader.take(line):
            parts = []
        else:
            parts = [*parts, (number, line)]
            whole = [_join(parts[i:]) for i in range(len(parts) - 1)]
            fits = (len(joined) <= _LONGEST_LINE and reader.take(joined) for joined in whole)
            first = next((i for i, known in enumerate(fits) if known), None)
            most = 1 - _MOST_PARTS if first is None else first
            left, parts = parts[:most], parts[most:] if first is None else []
        yield from left if below_head else ()
    yield from parts if reader.started else ()


def _join(parts: list[tuple[int, str]]) -> str:
    return " ".join(line for _, line in parts)


def _numbered_lines(text: BlockReader) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers from 0, without quotation marks (`> `) and trailing blanks."""
    for block in text.blocks():
        lines = split_lines(block).str.replace(r"^(?:> ?)+", "").str.replace_all(_WIDE_GAP, _GAP)
        lines = lines.str.strip_chars_end()
        yield from enumerate(lines.to_list(), text.lines_before)
