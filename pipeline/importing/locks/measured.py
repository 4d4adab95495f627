"""Lock measurements: figures as printed by a tool, and figures derived from them.

Times are converted to ns, without rounding if the tool prints whole numbers. A figure that a tool does not
print and that cannot be derived is absent, never 0.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from pipeline.errors import InputError, printable
from pipeline.schema.locks import FIGURE_NAMES

UNIT_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_LARGEST = (1 << 63) - 1
# A row with the sum of all locks, whose holds overlap in time.
ALL_LOCKS = "*TOTAL*"

LOSSES = {
    # Of the file.
    "bad_lines": "lines that could not be read and were skipped",
    "cut_short": "the file is truncated",
    # Of the recording.
    "lost_events": "events that the recorder reports as lost",
    "gaps": "places where the recorder lost an unknown number of events",
    "begins_without_end": "omitted waits without a recorded end",
    "ends_without_begin": "omitted ends of waits without a recorded begin",
    "times_back": "omitted waits that end before they begin",
    # Of the tool.
    "tool_discarded": "waits that the tool itself discarded",
    "tables_overflowed": "tables of the tool that were too small for all locks",
    "counting_stopped": "times the kernel stopped counting before the end",
}


@dataclass
class LockRow:
    """Measurements of a lock at a call site.

    lock, site, type: names, or None if the tool does not print them.
    figures: values by name (`schema.locks`).
    derived: names of the figures that the tool did not print.
    """

    lock: str | None
    site: str | None
    type: str | None
    figures: dict[str, int | float]
    derived: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Escape control characters in names, so that they are safe to print."""
        self.lock, self.site, self.type = (
            None if name is None else printable(name) for name in (self.lock, self.site, self.type)
        )

    def derive(self) -> None:
        """Add the figures that can be derived from others.

        sum = mean x count, mean = sum / count, CON = contended / acquisitions, UTIL = sum of holds /
        wall-clock time, and %CPU = sum of waits / (wall-clock time x CPUs).
        """
        known = self.figures.get
        for what, count in (("hold", "acquisitions"), ("wait", "contended")):
            times, mean = known(count), known(f"{what}_mean_ns")
            if times == 0:
                self._add(f"{what}_ns", 0)
            elif times is not None and mean is not None:
                self._add(f"{what}_ns", round(mean * times))
            total = known(f"{what}_ns")
            if times and total is not None:
                self._add(f"{what}_mean_ns", total / times)
        wall, cpus = known("wall_ns"), known("cpus")
        self._add_percent("con_percent", known("contended"), known("acquisitions"))
        if self.lock != ALL_LOCKS:
            self._add_percent("util_percent", known("hold_ns"), wall)
        self._add_percent("cpu_percent", known("wait_ns"), wall and cpus and wall * cpus)

    def _add(self, name: str, value: float) -> None:
        if name not in self.figures:
            self.figures[name] = value
            self.derived.add(name)

    def _add_percent(self, name: str, part: float | None, whole: float | None) -> None:
        if part is not None and whole:
            self._add(name, 100.0 * part / whole)


@dataclass
class MeasuredLocks:
    """A table of locks with its title (if a file has several), its recorder and its losses (`LOSSES`)."""

    title: str
    recorder: str
    rows: list[LockRow]
    losses: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def lacking(self) -> list[str]:
        """Return each loss with its count, as text."""
        return [f"{count:,} {LOSSES[name]}" for name, count in self.losses.items() if count]

    def complete(self, path: object) -> None:
        """Add the derived figures of all rows. Raises InputError for a figure that exceeds 64 bits."""
        for row in self.rows:
            row.derive()
            for name, value in row.figures.items():
                assert name in FIGURE_NAMES
                if abs(value) > _LARGEST:
                    raise InputError(
                        f"{path}: {name} of the lock {row.lock or row.site} is {value:.3g}, which exceeds 64 "
                        "bits; the file is damaged: copy it again"
                    )


def mean_ns(number: str, unit: str) -> float:
    """Convert a time from `unit` to ns."""
    return float(Decimal(number) * UNIT_NS[unit])


def whole_ns(number: str, unit: str) -> int:
    """Convert a time from `unit` to ns, rounded to the nearest whole number."""
    return round(Decimal(number) * UNIT_NS[unit])


def title_apart(tables: list[MeasuredLocks]) -> None:
    """Make the titles of a file's tables unique; a single table gets no title."""
    titles = Counter(table.title for table in tables)
    for position, table in enumerate(tables, 1):
        if len(tables) == 1:
            table.title = ""
        elif not table.title or titles[table.title] > 1:
            table.title = f"{table.title} {position}".strip()
