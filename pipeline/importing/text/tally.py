"""What became of each line: used, ignored by kind, or bad, with the first bad ones by number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.importing.events import BLANK, EVENT
from pipeline.jit.loops import compiled_inside
from pipeline.jit.tables import Tables, records

# Lines by what became of them. `ticks` is a set of bits: 1 some times have a fraction, 2 some have none.
COUNTS = np.dtype(
    [(name, "i8") for name in ("lines", "used", "ignored", "comments", "chains", "bad", "ticks")]
)
BAD_HEAD, BAD_NAME, BAD_FIELD, BAD_CALL = range(4)
REASONS = (
    "no task, CPU and time in front",
    "no event behind the time",
    "a field of the event is missing or makes no sense",
    "not a call with its result and duration",
)
BAD_SHOWN = 5
_IGNORED_SHOWN = 6
_BAD = np.dtype([("line", "i8"), ("reason", "i8")])
# Lines of one name that says nothing here: the name's hash, how many, and where it was first seen in the
# current block; end is -1 once it has been read.
_OTHER = np.dtype([("key", "i8"), ("lines", "i8"), ("start", "i8"), ("end", "i8")])
_OTHER_PLACES = 1 << 12
_NEWLINE = 10


@dataclass(frozen=True)
class Scanner:
    """The compiled scanner of a text format.

    `scan(block, tables)` writes the block's events into a Tally's tables and returns their number. It looks
    names of events up in `names` and of system calls in `calls`, both of `hashing.name_table`.
    """

    scan: Callable[[np.ndarray, Tables], int]
    names: np.ndarray
    calls: np.ndarray


class Tally:
    """What a scanner writes: `tables` has the events of a block, and what became of each line."""

    def __init__(self, scanner: Scanner) -> None:
        """Begin a text."""
        self._scan = scanner.scan
        self.tables = Tables(
            checked=False,
            names=scanner.names,
            calls=scanner.calls,
            blank=BLANK,
            events=records(1, EVENT),
            counts=records(1, COUNTS),
            bad=records(BAD_SHOWN, _BAD),
            other=records(_OTHER_PLACES, _OTHER),
        )
        self.counts = self.tables.counts[0]
        self._ignored: dict[int, str] = {}

    def scan(self, block: np.ndarray) -> int:
        """Scan a block of whole lines into `tables.events`; return how many events it has."""
        lines = int(np.count_nonzero(block == _NEWLINE))
        if lines > len(self.tables.events):
            self.tables.rebind("events", records(lines, EVENT))
        found = int(self._scan(block, self.tables))
        self._read_names(block)
        return found

    def _read_names(self, block: np.ndarray) -> None:
        """Take the names first seen in `block` out of it."""
        for entry in self.tables.other[self.tables.other.end > 0]:
            name = bytes(block[entry.start : entry.end])
            self._ignored[int(entry.key)] = name.decode("utf-8", "replace").rstrip(": ->(")
        self.tables.other.end[self.tables.other.end > 0] = -1

    def count_ignored(self) -> dict[str, int]:
        """Lines ignored by the name of their event, most first."""
        other = self.tables.other[self.tables.other.lines > 0]
        counted = {self._ignored.get(int(entry.key), "other"): int(entry.lines) for entry in other}
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))

    def bad_lines(self, overlong: int, overlong_first: int) -> list[str]:
        """Say where the first bad lines are and what is wrong with them."""
        shown = self.tables.bad[: self.counts.bad]
        lines = [f"line {int(bad.line) + 1:,}: {REASONS[bad.reason]}" for bad in shown]
        if overlong:
            lines.append(f"line {overlong_first:,}: longer than any recorder writes")
        return lines

    def notes(self, overlong: int, overlong_first: int) -> list[str]:
        """Say what was passed over and what was bad."""
        notes = []
        if self.counts.chains:
            notes.append(f"{int(self.counts.chains):,} lines of call chains were passed over")
        if ignored := self.count_ignored():
            shown = ", ".join(f"{name} {count:,}" for name, count in list(ignored.items())[:_IGNORED_SHOWN])
            more = len(ignored) - _IGNORED_SHOWN
            notes.append(
                f"{sum(ignored.values()):,} lines of kinds that say nothing of mappings were passed over "
                f"({shown}" + (f", {more} kinds more)" if more > 0 else ")")
            )
        return notes + [f"bad {line}" for line in self.bad_lines(overlong, overlong_first)]


@compiled_inside
def note_bad(tables, line, reason):  # type: ignore[no-untyped-def]
    """Count a bad line and keep the first ones."""
    counts = tables.counts[0]
    if counts.bad < BAD_SHOWN:
        bad = tables.bad[counts.bad]
        bad.line, bad.reason = line, reason
    counts.bad += 1


@compiled_inside
def note_ignored(tables, key, start, end):  # type: ignore[no-untyped-def]
    """Count a line of a kind that says nothing here; when the table is full, as one of the first."""
    tables.counts[0].ignored += 1
    place = key & (_OTHER_PLACES - 1)
    for _ in range(64):
        entry = tables.other[place]
        if entry.key == key:
            entry.lines += 1
            return
        if entry.key == 0:
            entry.key, entry.lines, entry.start, entry.end = key, 1, start, end
            return
        place = (place + 1) & (_OTHER_PLACES - 1)
    tables.other[place].lines += 1
