"""/proc/lock_stat: one line per class of locks, with times in us with two decimals, then its call sites.

Source: Linux, Documentation/locking/lockstat.rst. Version 0.4 adds mean times; columns are found by the names
in the header. A class with shared acquisitions has the lines `NAME-R` and `NAME-W`. Separated by dashes, the
call sites that waited follow, then those that held the lock meanwhile.
"""

from __future__ import annotations

import re

from pipeline.importing.locks.measured import LockRow, MeasuredLocks, mean_ns, whole_ns
from pipeline.schema.locks import ALL_SITES

# Columns of the file and the corresponding figures.
_COLUMNS = {
    "con-bounces": "con_bounces",
    "contentions": "contended",
    "waittime-min": "wait_min_ns",
    "waittime-max": "wait_max_ns",
    "waittime-total": "wait_ns",
    "waittime-avg": "wait_mean_ns",
    "acq-bounces": "acq_bounces",
    "acquisitions": "acquisitions",
    "holdtime-min": "hold_min_ns",
    "holdtime-max": "hold_max_ns",
    "holdtime-total": "hold_ns",
    "holdtime-avg": "hold_mean_ns",
}
_HEAD = re.compile(r"^ *class name((?: +[a-z-]+)* +holdtime-(?:total|avg)) *$")
_CELL = r" +(-|[0-9]{1,15}(?:\.[0-9]{1,2})?)"
_POINT = re.compile(r"^ *(\S.*?) +([0-9]{1,15}) +\[<.*>\] +(\S.*?) *$")
_DASHES = re.compile(r"^ *-+ *$")
_NOTHING = re.compile(r"^\s*$|^\.+ *$|^ *lock_stat version [0-9.]+ *$")
_STOPPED = "*WARNING* lock debugging disabled"


class LockStat:
    """Reader of /proc/lock_stat, line by line."""

    recorder = "/proc/lock_stat"

    def __init__(self) -> None:
        """Initialise the reader before the first line."""
        self.rows: list[LockRow] = []
        self.losses: dict[str, int] = {}
        self._columns: list[str] = []
        self._class = re.compile("(?!)")
        # Number of dashed lines in a class: call sites that waited follow the first, holders the second.
        self._part = 0

    @property
    def started(self) -> bool:
        """Whether the header was read."""
        return bool(self._columns)

    def take(self, line: str) -> bool:
        """Read a line; return whether it was recognised."""
        if head := _HEAD.match(line):
            columns = head[1].split()
            # The end of the header of version 0.4 may be on the next line.
            if not {*columns} <= _COLUMNS.keys() or ("waittime-avg" in columns) > ("holdtime-avg" in columns):
                return False
            self._columns = columns
            self._class = re.compile(r"^ *(\S.*?) *:" + _CELL * len(columns) + " *$")
            return True
        if _STOPPED in line:
            self.losses["counting_stopped"] = 1
            return True
        if found := self._class.match(line):
            return self._take_class(found[1], found.groups()[1:])
        if self._part and (point := _POINT.match(line)):
            if self._part == 1:
                self.rows.append(LockRow(point[1], point[3], None, {"contended": int(point[2])}))
            return True
        if _DASHES.match(line):
            self._part += 1
            return True
        return bool(_NOTHING.match(line))

    def _take_class(self, name: str, cells: tuple[str, ...]) -> bool:
        figures: dict[str, int | float] = {}
        for column, cell in zip(self._columns, cells, strict=True):
            known = _COLUMNS[column]
            if cell == "-":
                continue
            if not known.endswith("_ns"):
                if "." in cell:
                    return False
                figures[known] = int(cell)
            else:
                figures[known] = mean_ns(cell, "us") if known.endswith("mean_ns") else whole_ns(cell, "us")
        # Without waits or holds there is no mean or minimum time.
        for what, count in (("wait", "contended"), ("hold", "acquisitions")):
            if figures.get(count) == 0:
                for times in (f"{what}_mean_ns", f"{what}_min_ns"):
                    figures.pop(times, None)
        self.rows.append(LockRow(name, ALL_SITES, None, figures))
        self._part = 0
        return True

    def finish(self) -> list[MeasuredLocks]:
        """Return the table."""
        return [MeasuredLocks("", self.recorder, self.rows, self.losses)]
