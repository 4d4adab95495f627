"""Timeline as a stream of starts, ends, instants and counter values in time order, for any format.

Rows arrive in columnar batches; slices that are open at the end of a batch stay open for the next. Events at
the same time are ordered: ends first, innermost slices before outer ones, then starts, then counter values. A
slice of zero length ends before the next one starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from pipeline.export.kinds import COUNTERS, GROUPS, KINDS, Kind
from pipeline.export.tracks import Bools, Counters, Ints, Lanes, Track, Tracks, nested_ends

_GROUP = np.array([list(GROUPS).index(kind.group) for kind in KINDS])
_LASTS = np.array([kind.end is not None for kind in KINDS])
_COUNTER = np.array([COUNTERS.index(kind.counter) if kind.counter else -1 for kind in KINDS])
_IN_LOCK = np.array([kind.group == "lock" for kind in KINDS])


@dataclass(frozen=True)
class Slices:
    """Slices of one kind, or instants, in columns of equal length; unknown values are null.

    `since_ns` is the time since the previous event of the timeline, and `track` the position of the slice's
    track among all tracks. `names` has the name of each slice if names differ within the kind. `leads_to` and
    `comes_from` are numbers of arrows; a list may be null.
    """

    kind: Kind
    begin_ns: Ints
    end_ns: Ints
    since_ns: Ints
    track: Ints
    names: pa.Array | None
    arguments: dict[str, pa.Array]
    leads_to: pa.ListArray | None
    comes_from: pa.Array | None


class Writer(Protocol):
    """Interface for the writer of a format.

    Methods that encode events return a binary or string array with one value per event, "" or null for none.
    """

    def run(self, begin_ns: int, end_ns: int, name: str, metadata: dict[str, Any]) -> None:
        """Start the run's own slice, on the first track."""

    def tracks(self, new: list[Track]) -> None:
        """Declare tracks that the next events use for the first time."""

    def slices(self, some: Slices) -> pa.Array:
        """Encode the starts of slices, or instants."""

    def ends(self, since_ns: Ints, track: Ints) -> pa.Array:
        """Encode the ends of the innermost slices of some tracks."""

    def counters(self, at_ns: Ints, since_ns: Ints, counter: Ints, value: Ints) -> pa.Array:
        """Encode new values of counters, given as positions in COUNTERS."""

    def write(self, events: memoryview) -> None:
        """Write encoded events, in time order."""


class Ends(NamedTuple):
    """Ends of open slices, numbered in order of start; `row` is the row in this batch, -1 if earlier."""

    at_ns: Ints
    number: Ints
    track: Ints
    counter: Ints
    row: Ints

    def at(self, rows: Ints | Bools) -> Ends:
        """Select some of the ends."""
        return Ends(*(column[rows] for column in self))


@dataclass
class Size:
    """Numbers of objects in a timeline; `cut` counts slices shortened so that they nest."""

    slices: int = 0
    instants: int = 0
    tracks: int = 0
    arrows: int = 0
    cut: int = 0


class Timeline:
    """Conversion of batches of rows to calls of a writer; slices are clipped to `window`, in ns."""

    def __init__(self, writer: Writer, window: tuple[int, int]) -> None:
        """Start with no open slices."""
        self._writer = writer
        self._window = window
        self._tracks = Tracks()
        self._lanes = Lanes()
        self._counters = Counters(window[0])
        self._open = Ends(*(np.empty(0, np.int64) for _ in Ends._fields))
        self._now_ns = window[0]
        self.size = Size()

    def write(self, batches: Iterable[pa.RecordBatch], name: str, metadata: dict[str, Any]) -> Size:
        """Write all rows, which must be sorted by start, within one slice for the run."""
        self._writer.tracks(self._tracks.seen)
        self._writer.run(*self._window, name, metadata)
        run = Ends(*(np.array([value]) for value in (self._window[1], 0, 0, -1, -1)))
        self._open, self.size.slices = run, 1
        for batch in batches:
            self._add(batch)
        nothing = np.empty(0, np.int64)
        self._stream(None, nothing, nothing, nothing, self._open, np.zeros_like(self._open.row))
        self.size.tracks = len(self._tracks.seen)
        return self.size

    def _add(self, batch: pa.RecordBatch) -> None:
        kind, lane, began, ended = (
            batch.column(name).to_numpy().astype(np.int64) for name in ("kind", "lane", "begin_ns", "end_ns")
        )
        begin, end = np.maximum(began, self._window[0]), np.minimum(ended, self._window[1])
        locked = _IN_LOCK[kind]
        lane[locked] = self._lanes.free(begin[locked], end[locked])
        track, new = self._tracks.positions(_GROUP[kind], lane)
        self._writer.tracks(new)
        lasting = np.flatnonzero(_LASTS[kind])
        whole = end.copy()
        end[lasting] = self._nest(track[lasting], begin[lasting], end[lasting])
        number = np.arange(len(lasting)) + self.size.slices
        begun = Ends(end[lasting], number, track[lasting], _COUNTER[kind[lasting]], lasting)
        ends = Ends(*map(np.concatenate, zip(self._open, begun, strict=True)))
        # The row that each end precedes: the next row that starts at the same time or later.
        before = np.maximum(np.searchsorted(begin, ends.at_ns), ends.row + 1)
        due = before < len(begin)
        self._open = ends.at(~due)._replace(row=np.full(len(due) - due.sum(), -1))
        self.size.slices += len(lasting)
        self.size.instants += len(kind) - len(lasting)
        self.size.arrows += len(batch) - batch.column("comes_from").null_count
        self.size.cut += int((end < whole).sum())
        added = {
            "whole_ns": (ended - began, (began < begin) | (ended > whole)),
            "cut_from_ns": (whole - begin, end < whole),
        }
        rows = _Rows(batch, kind, begin, end, track, added)
        self._stream(rows, begin, _COUNTER[kind], lasting, ends.at(due), before[due])

    def _nest(self, track: Ints, begin: Ints, end: Ints) -> Ints:
        """Return where slices end so that they nest within the open slices and each other."""
        opened = self._open
        # Open slices started before every row of this batch and have not ended.
        earlier = np.full_like(opened.at_ns, min(begin.min(initial=self._now_ns), self._now_ns) - 1)
        columns = ((opened.track, track), (earlier, begin), (opened.at_ns, end))
        return nested_ends(*map(np.concatenate, columns))[len(earlier) :]

    def _stream(
        self, rows: _Rows | None, begin: Ints, counter: Ints, lasting: Ints, ends: Ends, before: Ints
    ) -> None:
        """Merge and write `rows` and `ends`; end i precedes row before[i]. Without rows, end the timeline."""
        order = np.lexsort((-ends.number, ends.at_ns, before))
        ends, before = ends.at(order), before[order]
        rows_at = _shift(np.arange(len(begin)), before)
        ends_at = before + np.arange(len(before))
        times = np.empty(len(begin) + len(before), np.int64)
        times[rows_at], times[ends_at] = begin, ends.at_ns
        counters, changes = np.full_like(times, -1), np.zeros_like(times)
        counters[rows_at[lasting]], changes[rows_at[lasting]] = counter[lasting], 1
        counters[ends_at], changes[ends_at] = ends.counter, -1
        counts = self._counters.add(times, counters, changes, last=rows is None)
        rows_at, ends_at = _shift(rows_at, counts.before), _shift(ends_at, counts.before)
        counts_at = counts.before + np.arange(len(counts.before))
        times = np.insert(times, counts.before, counts.at_ns)
        since = np.diff(times, prepend=self._now_ns)
        self._now_ns = int(times[-1])
        encoded = rows.encode(self._writer, since[rows_at]) if rows else []
        places = [rows_at[which] for which, _ in encoded] + [ends_at, counts_at]
        events = [event for _, event in encoded]
        events.append(self._writer.ends(since[ends_at], ends.track))
        events.append(self._writer.counters(counts.at_ns, since[counts_at], counts.counter, counts.value))
        order = np.empty(len(times), np.int64)
        order[np.concatenate(places)] = np.arange(len(times))
        self._writer.write(_content(pa.concat_arrays(events).take(pa.array(order))))


class _Rows(NamedTuple):
    """A batch with its tracks; `added` has further arguments, each with a mask of the rows that have it."""

    batch: pa.RecordBatch
    kind: Ints
    begin_ns: Ints
    end_ns: Ints
    track: Ints
    added: dict[str, tuple[Ints, Bools]]

    def encode(self, writer: Writer, since_ns: Ints) -> list[tuple[Ints, pa.Array]]:
        """Return the rows of each kind and their encoded events."""
        encoded = []
        for position, kind in enumerate(KINDS):
            rows = np.flatnonzero(self.kind == position)
            if len(rows) == 0:
                continue
            taken = pa.array(rows)
            columns = {"op": "op"}
            columns |= {name: f"n{position}" for position, name in enumerate(kind.numbers)}
            columns |= {name: f"t{position}" for position, name in enumerate(kind.texts)}
            says = {name: self.batch.column(column).take(taken) for name, column in columns.items()}
            names = says.pop(kind.named_by) if kind.named_by else None
            for name, (values, known) in self.added.items():
                if known[rows].any():
                    says[name] = pa.array(values[rows], mask=~known[rows])
            flows = [
                self.batch.column(name).take(taken) if given else None
                for name, given in (("leads_to", kind.leads_to), ("comes_from", kind.comes_from))
            ]
            times = (self.begin_ns[rows], self.end_ns[rows], since_ns[rows])
            slices = Slices(kind, *times, self.track[rows], names, says, *flows)
            encoded.append((rows, writer.slices(slices)))
        return encoded


def _shift(places: Ints, inserted: Ints) -> Ints:
    """Shift places by the values inserted before them, at the sorted places `inserted`."""
    return places + np.searchsorted(inserted, places, "right")


def _content(values: pa.Array) -> memoryview:
    """Return the concatenated bytes of all values of a binary or string array."""
    _, offsets, content = values.buffers()
    ends = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    return memoryview(content)[ends[0] : ends[-1]]
