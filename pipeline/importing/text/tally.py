"""Counts of lines by outcome: used, ignored by kind, or unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

# Unknown lines listed by number, unknown lines quoted in an error, and characters per quote.
TOLD, QUOTED, _LONGEST_QUOTE = 5, 3, 100
_NAMES_SHOWN = 6
# Number of unknown lines after which a text may be rejected early.
_MANY = 10_000
NO_LINE = (1 << 63) - 1


@dataclass
class Tally:
    """Counts of lines and of system calls.

    ignored: lines of events that are unrelated to mappings, by event name.
    auxiliary: lines that are not events, by kind.
    unread: events and calls that may map pages of files but from which no operation is built, by name. They
        are also in `used` or `ignored`.
    first_ticks, first_seconds: lines, from 0, of the first time in ticks and in seconds; NO_LINE if none.
    """

    lines: int = 0
    used: int = 0
    calls: int = 0
    calls_unread: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    auxiliary: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    first_ticks: int = NO_LINE
    first_seconds: int = NO_LINE
    _unknown_in_block: list[np.ndarray] = field(default_factory=list)
    _first_unknown: list[tuple[int, str, str]] = field(default_factory=list)

    def note_unread(self, name: str, count: int, is_call: bool) -> None:
        """Count events or calls that may map pages of files but are not read."""
        self.unread[name] += count
        self.calls_unread += count * is_call

    def note_times(self, rows: np.ndarray, in_ticks: np.ndarray) -> None:
        """Record which lines of a block, at `rows` in order, have times in ticks and which in seconds."""
        for name, found in (("first_ticks", rows[in_ticks]), ("first_seconds", rows[~in_ticks])):
            if len(found):
                setattr(self, name, min(getattr(self, name), self.lines + int(found[0])))

    def note_unknown(self, lines: pl.Series, rows: np.ndarray, reason: str) -> None:
        """Count the lines at `rows` of a block as unknown; `self.lines` is the number before the block."""
        self.unknown += len(rows)
        self._unknown_in_block.append(self.lines + rows)
        told = [(self.lines + int(row), reason, str(lines[int(row)])) for row in rows[:TOLD]]
        self._first_unknown = sorted(self._first_unknown + told)[:TOLD]

    def find_hopeless(self) -> int | None:
        """Return the line, from 0, by which most lines and more than _MANY are unknown; None if none.

        Unknown lines after it are not counted.
        """
        lines = np.sort(np.concatenate(self._unknown_in_block or [np.zeros(0, np.int64)]))
        self._unknown_in_block = []
        if self.unknown <= _MANY:
            return None
        counts = self.unknown - len(lines) + 1 + np.arange(len(lines))
        hopeless = np.flatnonzero((counts > _MANY) & (2 * counts > lines + 1))
        if not len(hopeless):
            return None
        self.unknown = int(counts[hopeless[0]])
        return int(lines[hopeless[0]])

    def unknown_lines(self) -> list[str]:
        """Return the numbers of the first unknown lines, with the reason for each."""
        return [f"line {line + 1:,}: {reason}" for line, reason, _ in self._first_unknown]

    def quotes(self) -> list[str]:
        """Return the first unknown lines as quotes, with number and reason."""
        return [
            f"line {line + 1:,}: {reason}: {_shorten(text)!r}"
            for line, reason, text in self._first_unknown[:QUOTED]
        ]

    def notes(self, others: str = "events unrelated to mappings") -> Iterator[str]:
        """Yield notes on ignored and unknown lines; `others` describes the ignored events."""
        for kind, count in sorted(self.auxiliary.items()):
            if kind:
                yield f"ignored {count:,} lines with {kind}"
        if self.ignored:
            yield (f"ignored {self.ignored.total():,} lines with {others} ({name_counts(self.ignored)})")
        if self.calls:
            understood = 1 - self.calls_unread / self.calls
            yield f"{understood:.1%} of {self.calls:,} system calls were read"
        if self.unread:
            yield f"not read, although they may map pages of files: {name_counts(self.unread)}"
        for said in self.unknown_lines():
            yield f"bad {said}"


def name_counts(counts: Counter[str]) -> str:
    """Return names with their counts, largest first; only the first ones, and the number of others."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} {count:,}" for name, count in ordered[:_NAMES_SHOWN])
    more = len(ordered) - _NAMES_SHOWN
    return shown + (f", {more} more kinds" if more > 0 else "")


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + " ..."
