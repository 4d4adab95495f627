"""The events of the kernel's kmap pool, in the order in which its lock was held."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

# The events of the pool; the position is the code.
EVENTS = ("ke", "spa", "km", "ku", "fz", "ftlb", "slp", "wak")
ENTER, PAGE_ADDRESS, MAPPED, UNMAPPED, SCAN, FLUSH, SLEEP, WOKEN = range(len(EVENTS))
NONE = -1


def _none_yet() -> np.ndarray:
    return np.zeros(0, np.bool_)


@dataclass(frozen=True)
class Switches:
    """The scheduler's switches, in the text's order: when, and from which task to which."""

    time: np.ndarray
    leaving: np.ndarray
    coming: np.ndarray


@dataclass(frozen=True)
class PoolEvents:
    """One entry per event: `code` into EVENTS, and its fields; NONE where an event has no such field.

    `seq` is the recorder's number of the event or its line in the text, `time` is in nanoseconds, or counts
    the ticks of the text's clock where `in_ticks`, `page` the address of the struct page, `vaddr` the mapped
    address (0: the page was evicted), `slot` its number in the pool, `count` the use count after the event.
    `kind` is the kind of operation that the caller asks for; None where callers were not recorded. `cpu_time`
    is the task's CPU time so far, and `on_cpu_since` when it got the CPU that it is on, for events by which
    mappings are followed, and `switches` are the scheduler's; None where it was not recorded.
    `page_told`, `slot_told` and `count_told` say whether an event tells these fields itself; the others are
    worked out (`fill_missing`). `took` says which maps took a new slot. `unrecorded` are the kinds of events
    that must have happened and of which there is none. These are empty in events as they were read.
    `rows_in` is how many rows or lines were read. `lost` is None where the recording does not tell whether
    events were lost; `gaps` are the ranges of events [first, end) within which some were.
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
        """Return the events [begin, end), none of which lies in a gap."""
        parts: dict[str, Any] = {
            each.name: column[begin:end]
            for each in fields(self)
            if isinstance(column := getattr(self, each.name), np.ndarray)
        }
        return replace(self, gaps=(), **parts)

    def evicts(self) -> np.ndarray:
        """Whether each event is that a page lost its address."""
        return (self.code == PAGE_ADDRESS) & (self.vaddr == 0)

    def next_of_task(self, code: int | None = None) -> np.ndarray:
        """Position of each event's task's next one (of the kind `code`); past the end if there is none."""
        length = len(self.code)
        by_task = np.argsort(self.pid, kind="stable")
        pid = self.pid[by_task]
        wanted = np.ones(length, np.bool_) if code is None else self.code[by_task] == code
        # The first wanted one behind each place, if it is of the same task.
        places = np.flatnonzero(wanted)
        at = np.searchsorted(places, np.arange(length), side="right")
        found = np.append(places, length)[at]
        same = found < length
        same[same] = pid[found[same]] == pid[same]
        result = np.full(length, length)
        result[by_task[same]] = by_task[found[same]]
        return result

    def follows(self, code: int) -> np.ndarray:
        """Whether each event is its task's next one after an event of the kind `code`."""
        after = self.next_of_task()[self.code == code]
        result = np.zeros(len(self.code), np.bool_)
        result[after[after < len(result)]] = True
        return result


def split_at_gaps(events: PoolEvents) -> list[PoolEvents]:
    """Split a recording where events were lost: within each part none was, so each can be followed.

    What was recorded between the last event before a loss and the first one known to be after it is in none.
    """
    parts = []
    begin = 0
    for end, resume in (*sorted(events.gaps), (len(events.code), len(events.code))):
        if end > begin:
            parts.append(events.between(begin, end))
        begin = max(begin, resume)
    return parts
