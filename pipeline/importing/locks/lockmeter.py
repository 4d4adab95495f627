"""Reports of lockmeter, as printed by its command `lockstat` from 2001 to 2005.

    SPINLOCKS         HOLD            WAIT
      UTIL  CON    MEAN(  MAX )   MEAN(  MAX )(% CPU)     TOTAL NOWAIT SPIN RJECT  NAME
      1.1%  1.1%  6.7us( 214us)   17us( 169us)(0.00%)     16961 98.9%  1.1%    0%  io_request_lock
     0.25%  1.4%  5.7us( 184us)   18us( 104us)(0.00%)      4353 98.6%  1.4%    0%    __make_request+0xec

The line of a lock is followed by an indented line for each of its callers. Numbers have three digits. HOLD is
the mean over TOTAL, which includes RJECT, the trylocks that failed. 0% means none; 0.00% means a number too
small for the digits. Reader-writer locks have separate sections; shared holds have no maximum. Lines in
reports of 2001 end with TOTAL and NAME.
"""

from __future__ import annotations

import re

from pipeline.importing.locks.measured import LockRow, MeasuredLocks, mean_ns, whole_ns
from pipeline.schema.locks import ALL_SITES


def _percent(name: str) -> str:
    return rf"(?:(?P<{name}>[0-9]{{1,6}}(?:\.[0-9]{{1,2}})?)%|-)"


def _time(name: str) -> str:
    return rf"(?:(?P<{name}>[0-9]{{1,12}}(?:\.[0-9])?)(?P<{name}_unit>us|ms|s)|-)"


# UTIL, or with the option -C requests per second; lines of sums and of a reader's callers have neither.
_BEGIN = rf"^ *(?:(?:{_percent('util')}|[0-9]+(?:\.[0-9])?(?= +[0-9.]+%)) *)?{_percent('con')} *"
_HOLD = rf"(?:{_time('hold')}\( *{_time('hold_max')}\))?"
_WAIT = rf" *{_time('wait')}(?:\( *{_time('wait_max')}\)\( *{_percent('cpu')}\))?"
_TOTAL = r" +(?:(?P<total>[0-9]{1,18})|-)"
_COUNTS = rf"{_TOTAL} +{_percent('nowait')} +{_percent('spin')}"
_NAME = r"(?P<indent>  (?:  )?)(?P<name>\S.*?) *$"
_BUSY = r"[0-9.]+[mu]?s\( *[0-9.]+[mu]?s\)"
_READERS = (
    rf"(?:{_time('hold')}(?:\?\?)? +[0-9]+ +{_BUSY}|(?:Data Sync Error|RWLOCK LookupError) *(?:{_BUSY})?)?"
)
# Sections by their first line: the type of lock and the pattern of a row.
_SECTIONS = {
    "SPINLOCKS": ("spinlock", rf"{_BEGIN}{_HOLD}{_WAIT}{_COUNTS} +{_percent('rejected')}{_NAME}"),
    "RWLOCK READS": ("rwlock:R", rf"{_BEGIN}{_READERS}{_WAIT}{_COUNTS}{_NAME}"),
    "RWLOCK WRITES": (
        "rwlock:W",
        rf"{_BEGIN}{_HOLD}{_WAIT} +[0-9.]+[mu]?s(?:\( *[0-9.]+[mu]?s\))?{_COUNTS}"
        rf"\( *(?:[0-9.]+%|-)\){_NAME}",
    ),
}
_ROWS = {name: (kind, re.compile(row)) for name, (kind, row) in _SECTIONS.items()}
_ROW_OF_2001 = re.compile(rf"{_BEGIN}{_HOLD}{_WAIT}{_TOTAL}(?P<indent> {{1,2}})(?P<name>[^ 0-9].*?) *$")
_SECTION = re.compile(rf"^ *({'|'.join(_SECTIONS)}) ")
_COLUMNS = re.compile(r"^ *(?:UTIL|TOT/SEC) +CON .* NAME *$")
_WALL = re.compile(r"^(?:Delta Time: +|Measurements enabled for: )([0-9]{1,12}(?:\.[0-9]{1,3})?) sec")
_CPUS = re.compile(r"^(?:All \(([0-9]{1,6})\) CPUs|(CPU:[0-9]{1,6}))\s*$")
_SAMPLE = re.compile(r"^(Periodic sample [0-9]+) of")
_OVERFLOW = re.compile(r"^\s*(?:Directory|Read Lock) table overflowed")
_KNOWN = re.compile(
    r"^\s*$|^ *(?:- +)+-?\s*$|^_+\s*$|^\*+ (?:End of )?Warnings|"
    r"^(?:Total counts|Command: |Ident: |Selecting locks |"
    r"(?:First |Last )?(?:Start|End) +time: |Hash table slots |Global read lock slots |\s*The data in this "
    r"report|\s*(?:requests/sec|contention|utilization) *:|\S+: One or more warnings)"
)


class Lockmeter:
    """Reader of a lockmeter report, line by line."""

    recorder = "lockmeter"

    def __init__(self) -> None:
        """Initialise the reader before the first line."""
        self.started = False
        self._tables: list[MeasuredLocks] = []
        self._section = ""
        self._lock: str | None = None
        self._above = ""
        self._begin_table("")

    def _begin_table(self, title: str) -> None:
        self._table = MeasuredLocks(title, self.recorder, [])
        self._tables.append(self._table)
        self._machine: dict[str, int | float] = {}
        self._seen: set[str] = set()

    def take(self, line: str) -> bool:
        """Read a line; return whether it was recognised."""
        above, self._above = self._above, line if line.strip() else self._above
        if not line.strip():
            self._lock = None
        elif line.startswith("System: "):
            self._begin_table("")
        elif section := _SECTION.match(line):
            self._begin_section(section[1], above)
        elif self._take_machine(line) or _COLUMNS.match(line) or _KNOWN.match(line):
            pass
        elif self._section and (found := _ROWS[self._section][1].match(line)):
            self._take_row(found, "  ")
        elif self._section == "SPINLOCKS" and (found := _ROW_OF_2001.match(line)):
            self._take_row(found, " ")
        else:
            return False
        return True

    def _begin_section(self, name: str, above: str) -> None:
        if name in self._seen:
            self._begin_table("")
        if not (self._seen or self._table.title or _KNOWN.match(above) or self._knows(above)):
            self._table.title = " ".join(above.split())
        self.started = True
        self._seen.add(name)
        self._section, self._lock = name, None

    def _knows(self, line: str) -> bool:
        return any(pattern.match(line) for pattern in (_WALL, _CPUS, _SAMPLE, _OVERFLOW))

    def _take_machine(self, line: str) -> bool:
        """Read the machine and the measured time, which precede the first section."""
        if wall := _WALL.match(line):
            self._machine["wall_ns"] = whole_ns(wall[1], "s")
        elif cpus := _CPUS.match(line):
            self._machine["cpus"] = int(cpus[1] or 1)
            self._table.title = f"{self._table.title} {cpus[2] or ''}".strip()
        elif sample := _SAMPLE.match(line):
            self._table.title = sample[1]
        elif _OVERFLOW.match(line):
            self._table.losses["tables_overflowed"] = self._table.losses.get("tables_overflowed", 0) + 1
        else:
            return False
        return True

    def _take_row(self, found: re.Match[str], indent_of_lock: str) -> None:
        """Read the row of a lock, or of one of its callers, which follow it directly."""
        site = found["name"]
        # In reports of 2001, callers without a common lock have the same indent, after an empty line.
        if found["indent"] == indent_of_lock or (self._lock is None and indent_of_lock == " "):
            self._lock, site = site, ALL_SITES
        row = LockRow(self._lock, site, _ROWS[self._section][0], dict(self._machine))
        self._read(found.groupdict(), row)
        self._table.rows.append(row)

    def _read(self, cells: dict[str, str | None], row: LockRow) -> None:
        figures, total = row.figures, int(cells["total"] or -1)
        for figure, cell in (("util_percent", "util"), ("cpu_percent", "cpu")):
            if value := cells.get(cell):
                figures[figure] = float(value)
        # Some attempts that found a spinlock busy did not wait for it.
        refused = cells.get("rejected") or "0"
        if refused in ("0", "0.00") and (con := cells["con"]):
            figures["con_percent"] = float(con)
        if total >= 0:
            figures["acquisitions"] = total - round(total * float(refused) / 100)
            row.derived |= set() if refused == "0" else {"acquisitions"}
        waited = cells["spin"] if "rejected" in cells else cells["con"]
        if total >= 0 and waited and waited != "0.00":
            figures["contended"] = round(total * float(waited) / 100)
            row.derived.add("contended")
        self._read_times(row, cells, total)

    def _read_times(self, row: LockRow, cells: dict[str, str | None], total: int) -> None:
        figures = row.figures
        for what in ("hold", "wait"):
            if (number := cells.get(what)) and (unit := cells[f"{what}_unit"]):
                figures[f"{what}_mean_ns"] = mean_ns(number, unit)
            if (number := cells.get(f"{what}_max")) and (unit := cells[f"{what}_max_unit"]):
                figures[f"{what}_max_ns"] = whole_ns(number, unit)
        if figures.get("wait_mean_ns") == 0:
            del figures["wait_mean_ns"]
            # A machine without a cycle counter has no times.
            if figures.get("contended") == 0:
                figures["wait_ns"], figures["wait_max_ns"] = 0, 0
                figures.setdefault("cpu_percent", 0.0)
        if "hold_mean_ns" not in figures and figures.get("acquisitions") and self._section != "RWLOCK READS":
            figures.pop("util_percent", None)
        # The mean includes failed trylocks.
        if "hold_mean_ns" in figures and 0 <= total != figures.get("acquisitions"):
            figures["hold_ns"] = round(figures.pop("hold_mean_ns") * total)
            row.derived.add("hold_ns")

    def finish(self) -> list[MeasuredLocks]:
        """Return the tables that have rows."""
        return [table for table in self._tables if table.rows]
