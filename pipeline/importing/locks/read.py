"""Reading what a tool measured of locks: its format is found from its lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

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
    """Reads a tool's text line by line."""

    @property
    def started(self) -> bool:
        """Whether the head of a table was seen: lines above it are not the tool's."""

    def take(self, line: str) -> bool:
        """Read a line; whether it is known."""

    def finish(self) -> list[MeasuredLocks]:
        """The tables that have rows, in their order."""


_READERS: dict[str, Callable[[], LineReader]] = {
    "lock_stat": LockStat,
    "lockmeter": Lockmeter,
    "perf-lock": PerfLock,
    "perf-lock-csv": PerfLock,
    "lockmeter-rows": LockmeterRows,
}


def read_locks(path: Path) -> list[MeasuredLocks]:
    """Read what was measured of locks in the file at `path`, plain or compressed: a list of its tables.

    Raises InputError when the file is in no such format, has no rows or more unknown lines than rows.
    """
    form = find_lock_format(path)
    if form is None:
        raise InputError(
            f"{path}: wanted what was measured of locks, found none of the formats that are read: "
            f"{', '.join(FORMATS.values())}; see docs/importing.md"
        )
    tables = [read_contention(path)] if form == "contention" else _read_lines(path, form)
    title_apart(tables)
    for table in tables:
        table.complete(path)
    return tables


def _read_lines(path: Path, form: str) -> list[MeasuredLocks]:
    reader, tally, text = _READERS[form](), Tally(), BlockReader(path)
    for block in text.blocks():
        tally.lines = text.lines_before
        lines = split_lines(block)
        for row, line in enumerate(lines.to_list()):
            if not reader.take(line) and reader.started:
                tally.note_unknown(lines, np.array([row]), "not what this tool prints")
    tables = reader.finish()
    found = sum(len(table.rows) for table in tables)
    unknown = tally.unknown + text.overlong
    if not found or unknown > found:
        listed = f" ({'; '.join(tally.quotes())})" if tally.unknown else ""
        raise InputError(
            f"{path}: wanted the output of {FORMATS[form]}, found {found:,} lines of locks and {unknown:,} "
            f"that cannot be read{listed}; it is damaged or was cut: save the tool's output again"
        )
    for table in tables:
        table.losses = {"bad_lines": unknown, "cut_short": int(text.cut_short)} | table.losses
        table.notes += [f"bad {said}" for said in tally.unknown_lines()]
    return tables
