"""Measured locks: their figures as a tool prints them, and those that follow from these.

Units are converted to nanoseconds, exactly where the tool prints whole ones. What a tool does not print and
what does not follow from it is absent, never 0.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from pipeline.errors import InputError, printable
from pipeline.schema.locks import FIGURE_NAMES

UNIT_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_LARGEST = (1 << 63) - 1
# A row that sums up all locks, which are held at the same time.
ALL_LOCKS = "*TOTAL*"

LOSSES = {
    "bad_lines": "lines that could not be read and were skipped",
    "cut_short": "the file is truncated",
    "lost_events": "events that the recorder reports as lost",
    "gaps": "places where the recorder lost an unknown number of events",
    "begins_without_end": "omitted waits without a recorded end",
    "ends_without_begin": "omitted ends of waits without a recorded begin",
    "times_back": "omitted waits that end before they begin",
    "tool_discarded": "waits that the tool itself discarded",
    "tables_overflowed": "tables of the tool that were too small for all locks",
    "counting_stopped": "times the kernel stopped counting before the end",
}


@dataclass
class LockRow:
    """What was measured of a lock at a site: figures by name (`schema.locks`), `derived` those of them that
    the tool did not print. None: the tool does not tell which lock, site or type of lock it was.
    """

    lock: str | None
    site: str | None
    type: str | None
    figures: dict[str, int | float]
    derived: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Take names as text: what acts on a terminal is nobody's name."""
        self.lock, self.site, self.type = (
            None if name is None else printable(name) for name in (self.lock, self.site, self.type)
        )

    def derive(self) -> None:
        """Add the figures that follow from others.

        A sum is mean x count, a mean sum / count, CON contended / acquisitions, UTIL the sum of holds / wall
        time, and %CPU the sum of waits / (wall time x CPUs).
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
    """One table of locks: its title where a file has several, what made it, and what it lacks (`LOSSES`)."""

    title: str
    recorder: str
    rows: list[LockRow]
    losses: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def lacking(self) -> list[str]:
        """Each loss with its count, for people."""
        return [f"{count:,} {LOSSES[name]}" for name, count in self.losses.items() if count]

    def complete(self, path: object) -> None:
        """Derive what follows; InputError for a figure that no machine has."""
        for row in self.rows:
            row.derive()
            for name, value in row.figures.items():
                assert name in FIGURE_NAMES
                if abs(value) > _LARGEST:
                    raise InputError(
                        f"{path}: {name} of the lock {row.lock or row.site} is {value:.3g}, more than 64 "
                        "bits hold; the file is damaged: copy it again"
                    )


def mean_ns(number: str, unit: str) -> float:
    """A time in a unit, in ns."""
    return float(Decimal(number) * UNIT_NS[unit])


def whole_ns(number: str, unit: str) -> int:
    """A time in a unit, in ns; beyond whole ones rounded to the nearest."""
    return round(Decimal(number) * UNIT_NS[unit])


def title_apart(tables: list[MeasuredLocks]) -> None:
    """Give tables of one file titles that differ, and one alone none."""
    titles = Counter(table.title for table in tables)
    for position, table in enumerate(tables, 1):
        if len(tables) == 1:
            table.title = ""
        elif not table.title or titles[table.title] > 1:
            table.title = f"{table.title} {position}".strip()
