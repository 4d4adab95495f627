"""Output of `perf lock contention`, as text or, with -x, as separated values.

     contended   total wait     max wait     avg wait         type   caller

             5      3.22 ms      2.13 ms    644.31 us      rwsem:W   path_openat+0xea9

The first columns are those selected by -F, in any order. The last columns are type and caller; with -t a
task, with -o the lock's owner, with -l the address and name of the lock, with -g a control group. perf counts
only waits, so acquisitions and hold times are unknown. The text has two decimals, and -x has whole ns.
"""

from __future__ import annotations

import re

from pipeline.importing.locks.measured import LockRow, MeasuredLocks, mean_ns, whole_ns
from pipeline.schema.locks import ALL_SITES

_FIGURES = {
    "contended": "contended",
    "total wait": "wait_ns",
    "max wait": "wait_max_ns",
    "min wait": "wait_min_ns",
    "avg wait": "wait_mean_ns",
}
_NAMES = "|".join(_FIGURES)
_COUNT, _TIME = r" *([0-9]{1,18})", r" *([0-9]{1,15}(?:\.[0-9]{1,2})?) (ns|us|ms|s|m|h) ?"
# Columns after the figures: their names in the header, and the pattern of a row.
_TAILS = {
    "caller": (r"type +caller", r" +(?P<type>[^ ]+) +(?P<site>\S.*?) *$"),
    "task": (r"pid +(?:comm|owner)", r" +(?P<task>-?[0-9]{1,10}) +(?P<comm>\S.*?)? *$"),
    "lock": (
        r"address +symbol",
        r" +(?P<address>[0-9a-f]{1,16})(?: +(?P<lock>[^ ()].*?))?(?: +\((?P<type>[^()]+)\))? *$",
    ),
    "cgroup": (r"cgroup", r" +(?P<cgroup>\S.*?) *$"),
}
_HEAD = re.compile(rf"^ *((?:(?:{_NAMES}) +)+)(?:{'|'.join(head for head, _ in _TAILS.values())}) *$")
_CSV_HEAD = re.compile(rf"^# output: (?=.*?(?:{_NAMES})(?P<separator>[^a-z]+?) )(?P<columns>.*?) *$")
# Columns of -x after the figures, and their groups in the pattern of a row.
_CSV_NAMES = {
    "type": "type",
    "caller": "site",
    "stacktrace": "stack",
    "pid": "task",
    "comm": "comm",
    "owner": "comm",
    "address": "address",
    "symbol": "lock",
    "cgroup": "cgroup",
}
_BAD = re.compile(r"^(?:bad: ([0-9]{1,18}), total: [0-9]+ *$|# debug: total=[0-9]+.*? bad=([0-9]{1,18})\b)")
_OWNERS = re.compile(r"^(?:# owner stack trace:|=== owner stack trace ===) *$")
_KNOWN = re.compile(
    r"^\s*$|^\s+0x[0-9a-f]+ |^=== output for debug ?===|^bad rate: |^histogram of |"
    r"^ *(?:acquire|acquired|contended|release|task|stack|time|data): [0-9]+ *$"
)


class PerfLock:
    """Reader of text or separated values, line by line."""

    recorder = "perf lock contention"

    def __init__(self) -> None:
        """Initialise the reader before the first line."""
        self._tables: list[MeasuredLocks] = []
        self._columns: list[str] = []
        self._row = re.compile("(?!)")
        # The second list, of owners, repeats the waits of the first.
        self._in_owners = False

    @property
    def started(self) -> bool:
        """Whether a header was read."""
        return bool(self._tables)

    def take(self, line: str) -> bool:
        """Read a line; return whether it was recognised."""
        if head := _HEAD.match(line):
            tail = line[head.end(1) :]
            row = next(row for name, row in _TAILS.values() if re.match(name, tail))
            columns = re.findall(_NAMES, head[1])
            cells = "".join(_COUNT if name == "contended" else _TIME for name in columns)
            return self._begin(columns, f"^{cells}{row}")
        if csv_head := _CSV_HEAD.match(line):
            return self._begin_csv(csv_head["columns"], csv_head["separator"])
        if found := self._row.match(line):
            if not self._in_owners:
                self._tables[-1].rows.append(self._read(found))
        elif self.started and (bad := _BAD.match(line)):
            self._tables[-1].losses["tool_discarded"] = int(bad[1] or bad[2])
        elif _OWNERS.match(line):
            self._in_owners = True
        else:
            return bool(_KNOWN.match(line))
        return True

    def _begin(self, columns: list[str], row: str) -> bool:
        if len({*columns}) < len(columns):
            return False
        self._columns, self._row, self._in_owners = columns, re.compile(row), False
        self._tables.append(MeasuredLocks("", self.recorder, []))
        return True

    def _begin_csv(self, text: str, separator: str) -> bool:
        names = [name.strip() for name in text.split(separator)]
        figures = [name for name in names if name in _FIGURES]
        others = [_CSV_NAMES.get(name, "") for name in names if name not in _FIGURES]
        if "" in others or len({*others}) < len(others) or names[: len(figures)] != figures:
            return False
        cells = [_COUNT if name == "contended" else r" *([0-9]{1,18})()" for name in figures]
        cells += [rf" *(?P<{name}>.*?) *" for name in others]
        return self._begin(figures, f"^{re.escape(separator).join(cells)}$")

    def _read(self, found: re.Match[str]) -> LockRow:
        cells = iter(found.groups())
        figures: dict[str, int | float] = {}
        for column in self._columns:
            figure, number = _FIGURES[column], next(cells)
            if figure == "contended":
                figures[figure] = int(number)
            else:
                to_ns = mean_ns if figure == "wait_mean_ns" else whole_ns
                figures[figure] = to_ns(number, next(cells) or "ns")
        return _name(found.groupdict(), figures)

    def finish(self) -> list[MeasuredLocks]:
        """Return the tables that have rows."""
        return [table for table in self._tables if table.rows]


def _name(cells: dict[str, str | None], figures: dict[str, int | float]) -> LockRow:
    """Return a row with its lock and site."""
    lock, site = cells.get("lock") or None, ALL_SITES
    if address := cells.get("address"):
        # Locks in objects of the same type share a name with a leading &.
        lock = f"{lock} {address}" if lock and lock.startswith("&") else lock or address
    elif "task" in cells:
        site = f"task {cells['task']} {cells['comm'] or ''}".strip()
    elif "cgroup" in cells:
        site = f"cgroup {cells['cgroup']}"
    else:
        site = cells.get("site") or ""
    return LockRow(lock, site, cells.get("type"), figures)
