"""A timeline as a stream of begins, ends, instants and counters, in time order, for a writer of any format.

    track    where slices lie: a group and a number in it, such as ("cpu", 3)
    open     slices that have begun and not ended; an ended one is told to the writer before a later begin

Slices on a track nest. One that would outlast the slice that it began in is cut there and counted; one on
the lock's track that overlaps others, which only several locks can bring about, goes to a track beside.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from pipeline.export.kinds import COUNTERS, GROUPS, KINDS, Group, Kind
from pipeline.export.slices import Row, names_of

_NAMES = [names_of(kind) for kind in KINDS]


class Track(NamedTuple):
    """Where slices lie."""

    group: Group
    number: int

    @property
    def name(self) -> str:
        """What the track is called."""
        return GROUPS[self.group][1].format(self.number)


class Writer(Protocol):
    """What a format must be able to write; calls come in the order of time."""

    def begin(self, at_ns: int, end_ns: int, track: Track, slice_: Slice) -> None:
        """A slice begins that will end at `end_ns`."""

    def end(self, at_ns: int, track: Track) -> None:
        """The innermost slice of the track ends."""

    def instant(self, at_ns: int, track: Track, slice_: Slice) -> None:
        """Something happened that has no length."""

    def counter(self, at_ns: int, name: str, value: int) -> None:
        """A counter has a new value."""


class Slice(NamedTuple):
    """What a slice says: name, sort, arguments (absent ones left out), flows that begin and end here."""

    name: str
    category: str
    arguments: list[tuple[str, Any]]
    leads_to: list[int]
    comes_from: int | None


@dataclass
class Told:
    """What a timeline came to."""

    slices: int = 0
    instants: int = 0
    tracks: int = 0
    arrows: int = 0
    cut: int = 0


class Timeline:
    """Turns rows into calls of a writer; `window` is in ns, and slices are clipped to it."""

    def __init__(self, writer: Writer, window: tuple[int, int]) -> None:
        """Begin with every counter at 0."""
        self._writer = writer
        self._window = window
        # (end, -number of the slice, track, counter): of slices that end together the innermost goes first.
        self._open: list[tuple[int, int, Track, str | None]] = []
        self._ends: defaultdict[Track, list[int]] = defaultdict(list)
        self._lock_ends: list[int] = []
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._shown: dict[str, int | None] = dict.fromkeys(COUNTERS)
        self._now_ns = window[0]
        self.told = Told()

    def play(self, rows: Iterable[Row], run: Slice) -> Told:
        """Tell the writer all of `rows`, which come by begin, under one slice for the run."""
        first, last = self._window
        self._begin(first, last, Track("run", 0), run, None)
        for number, lane, begin, end, op, values, leads_to, comes_from in rows:
            kind = KINDS[number]
            arguments: list[tuple[str, Any]] = [] if op is None else [("op", op)]
            # An absent value is one that rows of this kind never have, or that is unknown in this row.
            arguments += [pair for pair in zip(_NAMES[number], values, strict=False) if pair[1] is not None]
            name = kind.name
            if kind.named_by:
                name = str(dict(arguments).get(kind.named_by, name))
                arguments = [pair for pair in arguments if pair[0] != kind.named_by]
            if begin < first or end > last:
                arguments.append(("whole_ns", end - begin))
            slice_ = Slice(name, kind.name, arguments, leads_to or [], comes_from)
            self._tell(kind, lane, max(begin, first), min(end, last), slice_)
        self._end_until(last)
        self._reach(last + 1)
        return self.told

    def _tell(self, kind: Kind, lane: int, begin: int, end: int, slice_: Slice) -> None:
        self.told.arrows += slice_.comes_from is not None
        if kind.end is None:
            self._end_until(begin)
            self._reach(begin)
            self._writer.instant(begin, self._seen(Track(kind.group, lane)), slice_)
            self.told.instants += 1
        else:
            if kind.group == "lock":
                lane = self._free_lane(begin, end)
            self._begin(begin, end, Track(kind.group, lane), slice_, kind.counter)

    def _begin(self, begin: int, end: int, track: Track, slice_: Slice, counter: str | None) -> None:
        self._end_until(begin)
        ends = self._ends[self._seen(track)]
        if ends and end > ends[-1]:
            slice_.arguments.append(("cut_from_ns", end - begin))
            end = ends[-1]
            self.told.cut += 1
        ends.append(end)
        self.told.slices += 1
        heapq.heappush(self._open, (end, -self.told.slices, track, counter))
        self._reach(begin)
        if counter:
            self._counts[counter] += 1
        self._writer.begin(begin, end, track, slice_)

    def _end_until(self, at_ns: int) -> None:
        while self._open and self._open[0][0] <= at_ns:
            end, _, track, counter = heapq.heappop(self._open)
            self._ends[track].pop()
            self._reach(end)
            if counter:
                self._counts[counter] -= 1
            self._writer.end(end, track)

    def _seen(self, track: Track) -> Track:
        if track not in self._ends:
            self.told.tracks += 1
            self._ends[track] = []
        return track

    def _free_lane(self, begin: int, end: int) -> int:
        for lane, ended in enumerate(self._lock_ends):
            if ended <= begin:
                self._lock_ends[lane] = end
                return lane
        self._lock_ends.append(end)
        return len(self._lock_ends) - 1

    def _reach(self, at_ns: int) -> None:
        """Time has come to `at_ns`: show what the counters came to before, if one changed then."""
        if at_ns == self._now_ns:
            return
        for name, value in self._counts.items():
            if self._shown[name] != value:
                self._shown[name] = value
                self._writer.counter(self._now_ns, name, value)
        self._now_ns = at_ns
