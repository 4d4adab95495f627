"""Placement of slices: tracks in order of first use, nesting on a track, and counters of open slices.

Slices on a track nest. A slice that would outlast the slice it started in is cut at the end of that slice.
Overlapping slices on the track of the lock, which occur only with several locks, are put on separate tracks.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.export.kinds import COUNTERS, GROUPS, Group

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_GROUPS = tuple(GROUPS)


class Track(NamedTuple):
    """A track for slices: a group and a number in it, such as ("cpu", 3)."""

    group: Group
    number: int

    @property
    def name(self) -> str:
        """Display name of the track."""
        return GROUPS[self.group][1].format(self.number)


class Tracks:
    """All tracks used so far."""

    def __init__(self) -> None:
        """Start with the run's own track, at position 0."""
        self.seen = [Track("run", 0)]
        # Position by group and number; -1 for a track that has not been used.
        self._positions = np.full((len(_GROUPS), 64), -1, np.int64)

    def positions(self, group: Ints, number: Ints) -> tuple[Ints, list[Track]]:
        """Return the position of each row's track, and the new tracks."""
        short = int(number.max(initial=0)) + 1 - self._positions.shape[1]
        if short > 0:
            wider = max(short, self._positions.shape[1])
            self._positions = np.pad(self._positions, ((0, 0), (0, wider)), constant_values=-1)
        unknown = np.flatnonzero(self._positions[group, number] < 0)
        rows = unknown[np.sort(np.unique(group[unknown] + number[unknown] * 64, return_index=True)[1])]
        new = [Track(_GROUPS[group[row]], int(number[row])) for row in rows]
        self._positions[group[rows], number[rows]] = np.arange(len(self.seen), len(self.seen) + len(new))
        self.seen += new
        return self._positions[group, number], new


class Lanes:
    """Parallel tracks for slices that may overlap."""

    def __init__(self) -> None:
        """Start with one free lane."""
        self._ends = [0]

    def free(self, begin: Ints, end: Ints) -> Ints:
        """Return the lowest free lane at the start of each slice; rows are sorted by start."""
        until = np.maximum.accumulate(np.concatenate([[max(self._ends)], end]))
        if len(self._ends) == 1 and (begin >= until[:-1]).all():
            self._ends = [int(until[-1])]
            return np.zeros_like(begin)
        lanes = []
        for began, ended in zip(begin.tolist(), end.tolist(), strict=True):
            free = (lane for lane, at in enumerate(self._ends) if at <= began)
            lane = next(free, len(self._ends))
            self._ends[lane : lane + 1] = [ended]
            lanes.append(lane)
        return np.array(lanes, np.int64)


def nested_ends(track: Ints, begin: Ints, end: Ints) -> Ints:
    """Return where each slice ends if it is cut to nest in the slice it started in; rows are sorted by start.

    A slice that starts where another ends follows it and does not nest in it.
    """
    crossed = _find_crossings(track, begin, end)
    if len(crossed) == 0:
        return end
    nested = end.copy()
    rows = np.flatnonzero(np.isin(track, crossed))
    within: defaultdict[int, list[int]] = defaultdict(list)
    for row, at, began, ended in zip(
        *(c.tolist() for c in (rows, track[rows], begin[rows], end[rows])), strict=True
    ):
        around = within[at]
        while around and around[-1] <= began:
            around.pop()
        if around and ended > around[-1]:
            nested[row] = around[-1]
        around.append(int(nested[row]))
    return nested


def _find_crossings(track: Ints, begin: Ints, end: Ints) -> Ints:
    """Return the tracks on which slices overlap without one containing the other.

    Slices nest if, for each slice, as many slices are open after its end as before its start. Ends at the
    same time are counted innermost first, that is, in reverse order of start.
    """
    # A slice of zero length always nests.
    long = end > begin
    track, begin, end = track[long], begin[long], end[long]
    if len(track) == 0:
        return track
    # Keys put all times of a track after those of the previous track.
    stretch = int(end.max() - begin.min()) + 1
    begin_key, end_key = (track * stretch + (times - begin.min()) for times in (begin, end))
    by_begin = np.argsort(track, kind="stable")
    by_end = len(track) - 1 - np.argsort(end_key[::-1], kind="stable")
    begin_key, ends_sorted = begin_key[by_begin], end_key[by_end]
    open_before, open_after = np.empty_like(track), np.empty_like(track)
    places = np.arange(len(track))
    open_before[by_begin] = places - np.searchsorted(ends_sorted, begin_key, "right")
    open_after[by_end] = np.searchsorted(begin_key, ends_sorted, "left") - places - 1
    return np.unique(track[open_before != open_after])


class Counts(NamedTuple):
    """New values of counters; `before` is the position of the event that each value precedes."""

    before: Ints
    at_ns: Ints
    counter: Ints
    value: Ints


class Counters:
    """Current values of all counters; the value at a time is final once a later event occurs."""

    def __init__(self, begin_ns: int) -> None:
        """Start with every counter at 0, not yet written."""
        self._changed_ns = [begin_ns] * len(COUNTERS)
        self._values = [0] * len(COUNTERS)
        self._written = [-1] * len(COUNTERS)

    def add(self, at_ns: Ints, counter: Ints, change: Ints, last: bool) -> Counts:
        """Return the values that become final with the next events, which are sorted by time.

        `counter` is a position in COUNTERS, or -1 for none. With `last`, values at the last time are final.
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
            new = np.diff(values, prepend=self._written[position]) != 0
            if len(values):
                self._written[position] = int(values[-1])
            before = np.searchsorted(at_ns, times[new], "right")
            found.append(Counts(before, times[new], np.full(new.sum(), position), values[new]))
        together = Counts(*map(np.concatenate, zip(*found, strict=True)))
        order = np.argsort(together.before, kind="stable")
        return Counts(*(column[order] for column in together))
