"""What a recording tells of the areas that each purge collected.

A purge collects every area that was freed before the previous purge ended, and some of those freed since.
An area that is mapped again has been collected and returned. A purge flushes from the first address of the
areas that it collected to the last.
"""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np

from pipeline.importing.vmalloc.recording import ALLOCATED, FREED, PURGED, VmallocRecording
from pipeline.studies.conformance.area_lists import Frees
from pipeline.studies.conformance.area_order import AreaOrder

NEVER = np.iinfo(np.int64).max
# Modules and BPF programs of x86-64 are above; their list follows from the address and the number of lists.
_FIRST_MODULE_PAGE = 0xFFFFFFFF80000


class AreaEvidence:
    """The frees and purges of a part of a recording, in order of effect.

    `purge_of` is the number of the first purge that ends after a free. `again` is the number of frees before
    the moment at which the address of a freed area was mapped again, NEVER if it was not, and `again_purge`
    the number of purges that have ended by then; `again_event` is the event of that map. `purges` are the
    events of the purges, and `ends` the number of frees before each of them. `returned` has the pages that
    had been returned before each free, and `sums` the pages of all frees before it; its last element is their
    sum.
    """

    def __init__(self, recording: VmallocRecording, order: AreaOrder) -> None:
        self.order = order
        code = recording.event[order.events].tolist()
        self.frees = [k for k, kind in zip(order.events, code, strict=True) if kind == FREED]
        self.purges = [k for k, kind in zip(order.events, code, strict=True) if kind == PURGED]
        self.first = recording.first[self.frees].astype(np.int64)
        self.pages = np.array([order.pages[k] for k in self.frees], np.int64)
        self.begin = recording.first[self.purges].astype(np.int64)
        self.end = self.begin + recording.pages[self.purges]
        self.areas = recording.count[self.purges].astype(np.int64)
        cpu, map_of = recording.cpu.tolist(), order.map_of
        self.lists = np.array([cpu[map_of[k]] if map_of[k] >= 0 else -1 for k in self.frees], np.int64)
        self.lists[recording.first[self.frees] >= np.uint64(_FIRST_MODULE_PAGE)] = -1
        before = np.cumsum([kind == FREED for kind in code])
        self.ends = [int(before[at]) for at, kind in enumerate(code) if kind == PURGED]
        self.sums = np.concatenate([[0], np.cumsum(self.pages)]).astype(np.int64)
        counters = recording.count[self.frees] - self.pages
        self.returned: list[int] = (order.lazy + self.sums[:-1] - counters).tolist()
        self._follow(recording, code)
        # A free is late if another that was counted after it was recorded before it.
        recorded = np.array(self.frees, np.int64)
        self.late = recorded > np.minimum.accumulate(recorded[::-1])[::-1]

    def _follow(self, recording: VmallocRecording, code: list[int]) -> None:
        """Find which freed areas are mapped again, and when."""
        first, pages = recording.first.tolist(), recording.pages.tolist()
        self.purge_of = np.zeros(len(self.frees), np.int64)
        self.again = np.full(len(self.frees), NEVER)
        self.again_purge, self.again_event = self.again.copy(), self.again.copy()
        lazy: list[tuple[int, int, int]] = []
        frees = purges = 0
        for kind, k in zip(code, self.order.events, strict=True):
            if kind == PURGED:
                purges += 1
            elif kind == FREED:
                self.purge_of[frees] = purges
                insort(lazy, (first[k], self.order.pages[k], frees))
                frees += 1
            elif kind == ALLOCATED:
                at = max(bisect_left(lazy, (first[k], 0, 0)) - 1, 0)
                while at < len(lazy) and lazy[at][0] < first[k] + pages[k]:
                    if lazy[at][0] + lazy[at][1] <= first[k]:
                        at += 1
                        continue
                    _, _, free = lazy.pop(at)
                    self.again[free], self.again_purge[free], self.again_event[free] = frees, purges, k

    def returned_by(self, purge: int) -> int | None:
        """Pages returned by a purge and those before it; None if no free shows them."""
        end = self.ends[purge]
        later = self.ends[purge + 1] if purge + 1 < len(self.ends) else len(self.returned)
        return self.returned[end] if end < later else None

    def between(self, purge: int, begin: int, left: np.ndarray, after: int) -> Frees:
        """Describe the frees from `begin`, the end of the previous purge, to the end of `purge`.

        `left` are the numbers of earlier frees that `purge` collected as well. `after` is the number of frees
        from its end on that the next purge collected.
        """
        end, returned = self.ends[purge], self.returned
        own = slice(begin, end)
        until = next((at for at in range(begin, end) if returned[at] > returned[begin]), end)
        again_now = self.again_purge[own] <= purge
        until = min([until, *self.again[own][again_now].tolist(), *self.again[left].tolist()])
        within = self._within(own, purge)
        # The next purge had taken no list when so few areas had been freed since this one.
        must = again_now | (self.again[own] < end + after)
        must_not = np.zeros(end - begin, np.bool_)
        if purge + 1 < len(self.purges):
            in_next = self._within(own, purge + 1)
            must |= within & ~in_next
            must_not |= in_next & ~within
        for edge, of in ((self.begin, self.first), (self.end, self.first + self.pages)):
            there = of[own] == edge[purge]
            if self.areas[purge] > 0 and not (of[left] == edge[purge]).any() and not (there & must).any():
                must |= self._last(there)
            if purge + 1 < len(self.purges) and self.areas[purge + 1] > 0:
                later = of[end : end + int(np.searchsorted(self.purge_of[end:], purge + 2))]
                if not (later == edge[purge + 1]).any():
                    must_not |= self._last(of[own] == edge[purge + 1])
        must_not &= ~must
        return Frees(self.lists[own], self.pages[own], must, must_not, max(until - begin, 0))

    def _within(self, own: slice, purge: int) -> np.ndarray:
        """Whether the areas of frees lie in the range that a purge flushed."""
        first, end = self.first[own], self.first[own] + self.pages[own]
        return (first >= self.begin[purge]) & (end <= self.end[purge])

    def _last(self, there: np.ndarray) -> np.ndarray:
        """The last of the frees that are `there`, as an address is freed again only after a purge."""
        result = np.zeros(len(there), np.bool_)
        result[np.flatnonzero(there)[-1:]] = True
        return result
