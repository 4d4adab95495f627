"""What became of each line: used, ignored by kind, or bad, with the first bad ones by number."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pipeline.jit.loops import compiled_inside

# Positions in `counts`. TICKS is a set of bits: 1 some times have a fraction, 2 some have none.
LINES, USED, IGNORED, COMMENTS, CHAINS, BAD, TICKS, CALLS_IGNORED = range(8)
BAD_HEAD, BAD_NAME, BAD_FIELD, BAD_CALL = range(4)
REASONS = (
    "no task, CPU and time in front",
    "no event behind the time",
    "a field of the event is missing or makes no sense",
    "not a call with its result and duration",
)
BAD_SHOWN = 5
_KINDS = 1 << 12


@dataclass
class Tally:
    """Counts of lines. `counts` is indexed by the names above; `bad` [BAD_SHOWN, 2]: line from 0, reason.

    `other` is a table by name's hash: hash, lines of that name, and where the name was first seen in the
    current block, start and end; -1 in place of these once it has been read.
    """

    counts: np.ndarray = field(default_factory=lambda: np.zeros(8, np.int64))
    bad: np.ndarray = field(default_factory=lambda: np.full((BAD_SHOWN, 2), -1, np.int64))
    other: np.ndarray = field(default_factory=lambda: np.zeros((_KINDS, 4), np.int64))
    names: dict[int, str] = field(default_factory=dict)

    def read_names(self, block: np.ndarray) -> None:
        """Take the names first seen in `block` out of it."""
        for place in np.flatnonzero(self.other[:, 3] > 0):
            key, _, start, end = (int(value) for value in self.other[place])
            self.names[key] = bytes(block[start:end]).decode("utf-8", "replace").rstrip(": ->(")
            self.other[place, 3] = -1

    def ignored(self) -> dict[str, int]:
        """Lines ignored by the name of their event, most first."""
        counted = {self.names.get(int(key), "other"): int(n) for key, n, _, _ in self.other if n}
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))

    def bad_lines(self, overlong: int, overlong_first: int) -> list[str]:
        """Say where the first bad lines are and what is wrong with them."""
        said = [f"line {int(line) + 1:,}: {REASONS[reason]}" for line, reason in self.bad if line >= 0]
        if overlong:
            said.append(f"line {overlong_first:,}: longer than any recorder writes")
        return said


@compiled_inside
def note_bad(bad, counts, line, reason):  # type: ignore[no-untyped-def]
    """Count a bad line and keep the first ones."""
    if counts[BAD] < len(bad):
        bad[counts[BAD], 0] = line
        bad[counts[BAD], 1] = reason
    counts[BAD] += 1


@compiled_inside
def note_ignored(other, key, start, end):  # type: ignore[no-untyped-def]
    """Count a line of a kind that says nothing here; when the table is full, as one of the first."""
    place = key & (len(other) - 1)
    for _ in range(64):
        if other[place, 0] == key:
            other[place, 1] += 1
            return
        if other[place, 0] == 0:
            other[place, 0] = key
            other[place, 1] = 1
            other[place, 2] = start
            other[place, 3] = end
            return
        place = (place + 1) & (len(other) - 1)
    other[place, 1] += 1
