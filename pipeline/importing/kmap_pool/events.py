"""The events of the kernel's kmap pool, in the order in which tasks held its lock."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

# The events of the pool; the code of an event is its position.
EVENTS = ("ke", "spa", "km", "ku", "fz", "ftlb", "slp", "wak")
ENTER, PAGE_ADDRESS, MAPPED, UNMAPPED, SCAN, FLUSH, SLEEP, WOKEN = range(len(EVENTS))
NONE = -1


def _none_yet() -> np.ndarray:
    return np.zeros(0, np.bool_)


@dataclass(frozen=True)
class Switches:
    """The scheduler's switches, in the order of the text: time, previous task and next task."""

    time: np.ndarray
    leaving: np.ndarray
    coming: np.ndarray


@dataclass(frozen=True)
class PoolEvents:
    """Arrays with one entry per event; NONE if an event lacks a field.

    seq: the recorder's number of the event, or its line in the text.
    time: ns, or ticks of the text's clock if `in_ticks`.
    code: index into EVENTS.
    page: address of the struct page.
    vaddr: mapped address (0: the page was evicted).
    slot: number of the slot in the pool.
    count: use count after the event.
    kind: kind of operation that the caller requests; None if callers were not recorded.
    cpu_time, on_cpu_since: the task's CPU time so far, and when it got its CPU, for requests, maps and
        unmaps; None if the scheduler was not recorded.
    switches: the scheduler's switches; None if not recorded.
    page_told, slot_told, count_told: whether the event itself contains the field; otherwise the field is
        inferred (`fill_missing`).
    took: whether a map took a new slot.
    unrecorded: kinds of events that must have occurred but are not in the recording.
    rows_in: number of rows or lines read.
    lost: number of lost events; None if the recording does not contain it.
    gaps: ranges of events [first, end) in which events were lost.

    `page_told`, `slot_told`, `count_told`, `took` and `unrecorded` are empty before `fill_missing`.
    """

    path: Path
    seq: np.ndarray
    time: np.ndarray
    code: np.ndarray
    pid: np.ndarray
    cpu: np.ndarray
    page: np.ndarray
    vaddr: np.ndarray
    slot: np.ndarray
    count: np.ndarray
    kind: np.ndarray | None
    cpu_time: np.ndarray | None
    rows_in: int
    lost: int | None
    gaps: tuple[tuple[int, int], ...] = ()
    in_ticks: bool = False
    on_cpu_since: np.ndarray | None = None
    switches: Switches | None = None
    page_told: np.ndarray = field(default_factory=_none_yet)
    slot_told: np.ndarray = field(default_factory=_none_yet)
    count_told: np.ndarray = field(default_factory=_none_yet)
    took: np.ndarray = field(default_factory=_none_yet)
    unrecorded: frozenset[int] = frozenset()

    def between(self, begin: int, end: int) -> PoolEvents:
        """Return the events [begin, end), which must not contain a gap."""
        parts: dict[str, Any] = {
            each.name: column[begin:end]
            for each in fields(self)
            if isinstance(column := getattr(self, each.name), np.ndarray)
        }
        return replace(self, gaps=(), **parts)

    def evicts(self) -> np.ndarray:
        """Return whether each event is an eviction: a page loses its address."""
        return (self.code == PAGE_ADDRESS) & (self.vaddr == 0)

    def next_of_task(self, code: int | None = None) -> np.ndarray:
        """Return the position of the next event (of kind `code`) of each event's task; the length if none."""
        length = len(self.code)
        by_task = np.argsort(self.pid, kind="stable")
        pid = self.pid[by_task]
        wanted = np.ones(length, np.bool_) if code is None else self.code[by_task] == code
        # The first matching event after each place, if it is of the same task.
        places = np.flatnonzero(wanted)
        at = np.searchsorted(places, np.arange(length), side="right")
        found = np.append(places, length)[at]
        same = found < length
        same[same] = pid[found[same]] == pid[same]
        result = np.full(length, length)
        result[by_task[same]] = by_task[found[same]]
        return result

    def follows(self, code: int) -> np.ndarray:
        """Return whether each event is its task's next one after an event of kind `code`."""
        after = self.next_of_task()[self.code == code]
        result = np.zeros(len(self.code), np.bool_)
        result[after[after < len(result)]] = True
        return result


def split_at_gaps(events: PoolEvents) -> list[PoolEvents]:
    """Split a recording where events were lost, into parts without losses.

    Events between the last event before a loss and the first event known to be after it are in no part.
    """
    parts = []
    begin = 0
    for end, resume in (*sorted(events.gaps), (len(events.code), len(events.code))):
        if end > begin:
            parts.append(events.between(begin, end))
        begin = max(begin, resume)
    return parts
