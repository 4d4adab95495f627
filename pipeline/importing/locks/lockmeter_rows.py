"""Lockmeter rows as CSV, one line per lock site, in the form of the shipped rows of 2002.

Columns are found by name: `row` names the configuration, `site` is all, map or unmap of the pool's lock, and
the figures are those of lockmeter, with units in their names. An empty cell was not measured or not
published.
"""

from __future__ import annotations

import csv
import re
from decimal import Decimal

from pipeline.importing.locks.measured import LockRow, MeasuredLocks
from pipeline.schema.locks import POOL_LOCK

# Columns of the file: the corresponding figures and the factors that convert their units.
_COLUMNS = {
    "acquisitions": ("acquisitions", 1),
    "contended_pct": ("con_percent", 1),
    "hold_mean_us": ("hold_mean_ns", 1000),
    "hold_max_us": ("hold_max_ns", 1000),
    "wait_mean_us": ("wait_mean_ns", 1000),
    "wait_max_us": ("wait_max_ns", 1000),
    "util_pct": ("util_percent", 1),
    "wait_cpu_pct": ("cpu_percent", 1),
    "wall_s": ("wall_ns", 10**9),
    "cpus": ("cpus", 1),
}
_REAL = ("con_percent", "hold_mean_ns", "wait_mean_ns", "util_percent", "cpu_percent")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,12})?")


class LockmeterRows:
    """Reader of a table of lockmeter rows, line by line."""

    recorder = "lockmeter, as a table"

    def __init__(self) -> None:
        """Initialise the reader before the first line."""
        self._head: list[str] = []
        self._tables: dict[str, MeasuredLocks] = {}

    @property
    def started(self) -> bool:
        """Whether the header was read."""
        return bool(self._head)

    def take(self, line: str) -> bool:
        """Read a line; return whether it was recognised."""
        try:
            cells = next(csv.reader([line], strict=True), [])
        except csv.Error:
            return False
        if not self._head:
            self._head = cells if {"row", "site", *_COLUMNS} & {*cells} >= {"row", "site"} else []
            return bool(self._head)
        if not cells:
            return True
        figures = self._read(dict(zip(self._head, cells, strict=False)))
        if len(cells) != len(self._head) or figures is None:
            return False
        named = dict(zip(self._head, cells, strict=True))
        table = self._tables.setdefault(named["row"], MeasuredLocks(named["row"], self.recorder, []))
        row = LockRow(POOL_LOCK, named["site"], "spinlock", figures)
        if (con := figures.get("con_percent")) is not None and (taken := figures.get("acquisitions")):
            figures["contended"] = round(taken * con / 100)
            row.derived.add("contended")
        table.rows.append(row)
        return True

    @staticmethod
    def _read(cells: dict[str, str]) -> dict[str, int | float] | None:
        figures: dict[str, int | float] = {}
        for column, (figure, unit) in _COLUMNS.items():
            text = cells.get(column, "").strip()
            if not text:
                continue
            if not _NUMBER.fullmatch(text):
                return None
            value = Decimal(text) * unit
            figures[figure] = float(value) if figure in _REAL else round(value)
        return figures

    def finish(self) -> list[MeasuredLocks]:
        """Return a table for each configuration."""
        return list(self._tables.values())
