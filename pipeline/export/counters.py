"""The counters of a timeline: how many slices of some kinds are open, told when a moment is over."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.export.kinds import COUNTERS
from pipeline.export.slices import Ints


class Counts(NamedTuple):
    """New values of counters: `before` which event they are told, when, of which counter, what."""

    before: Ints
    at_ns: Ints
    counter: Ints
    value: Ints


class Counting:
    """What every counter has come to; a moment is over when something later happens."""

    def __init__(self, begin_ns: int) -> None:
        """Begin with every counter at 0, which has not been told."""
        self._changed_ns = [begin_ns] * len(COUNTERS)
        self._values = [0] * len(COUNTERS)
        self._told = [-1] * len(COUNTERS)

    def counted(self, at_ns: Ints, counter: Ints, change: Ints, last: bool) -> Counts:
        """Return the new values among the next events, which come by time; of their last moment if `last`.

        `counter` is a position in COUNTERS, or -1.
        """
        found = []
        for position in range(len(COUNTERS)):
            mine = np.flatnonzero(counter == position)
            times = np.concatenate([[self._changed_ns[position]], at_ns[mine]])
            values = self._values[position] + np.concatenate([[0], np.cumsum(change[mine])])
            final = np.append(times[1:] != times[:-1], True)
            times, values = times[final], values[final]
            self._changed_ns[position], self._values[position] = int(times[-1]), int(values[-1])
            if not last and (len(at_ns) == 0 or times[-1] == at_ns[-1]):
                times, values = times[:-1], values[:-1]
            new = np.diff(values, prepend=self._told[position]) != 0
            if len(values):
                self._told[position] = int(values[-1])
            before = np.searchsorted(at_ns, times[new], "right")
            found.append(Counts(before, times[new], np.full(new.sum(), position), values[new]))
        together = Counts(*map(np.concatenate, zip(*found, strict=True)))
        order = np.argsort(together.before, kind="stable")
        return Counts(*(column[order] for column in together))
