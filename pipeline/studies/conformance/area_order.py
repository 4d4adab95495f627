"""The order in which recorded frees of areas took effect, from the kernel's counter of lazy pages.

A free adds its pages to the counter by one atomic operation and then puts its area on a list; its event comes
last. Frees on several CPUs may therefore be recorded in another order than they were counted in. The counter
shows the true one: the value before a free, `lazy - pages`, is the value after the previous free, unless a
purge returned pages in between.

A free can have been counted before one that was recorded earlier only if its task has no event between the
two: a task is in one free at a time.

Source: free_vmap_area_noflush and __purge_vmap_area_lazy of Linux 6.18, mm/vmalloc.c.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace

from pipeline.importing.vmalloc.recording import ALLOCATED, FREED, PURGED, VmallocRecording

UNKNOWN = -1
# A free that one of so many frees after it continues from is not late.
_NEXT_FREES = 4
# Events among which the place of a late free is looked for.
_LATEST = 1000


@dataclass
class AreaOrder:
    """The events of a recording, or of a part of it, in the order in which they took effect.

    `events` are their numbers. `pages` has the length of each freed area by the number of the event.
    `length_derived` are frees of areas whose map was not recorded; their lengths follow from the counter.
    `skipped` are such frees with which the part begins, because nothing tells the counter before them.
    `unordered` is 1 if the part ends at a free whose place among the others is unknown.
    `moved` is the number of frees that were counted before one recorded earlier. `lazy` is the counter at the
    beginning, `mapped` the first page and length of the areas in use then. `earlier` has the previous event
    of the same task, and `map_of` the map of a freed area, or UNKNOWN, by the number of any event.
    """

    mapped: dict[int, int]
    earlier: list[int] = field(repr=False)
    map_of: list[int] = field(repr=False)
    lazy: int = 0
    events: list[int] = field(default_factory=list)
    pages: dict[int, int] = field(default_factory=dict)
    length_derived: set[int] = field(default_factory=set)
    skipped: list[int] = field(default_factory=list)
    moved: int = 0
    unordered: int = 0


def order_events(recording: VmallocRecording) -> list[AreaOrder]:
    """Order the events of a recording.

    A new part begins at each gap of lost events that the counter shows. It also begins at the free of an area
    of unknown length during which a purge may have returned pages, and at a free whose place among those of
    other CPUs is unknown.
    """
    return _Ordering(recording).parts


def may_lack_events(recording: VmallocRecording) -> bool:
    """Whether events may be missing, as the recording says or because it does not say."""
    return recording.lost != 0 or bool(recording.losses)


def split_order(recording: VmallocRecording, order: AreaOrder, purge: int) -> tuple[AreaOrder, AreaOrder]:
    """Split a part at the event of a purge, which is in neither of the two."""
    at = order.events.index(purge)
    first, event = recording.first.tolist(), recording.event.tolist()
    mapped = dict(order.mapped)
    parts = []
    for events, moved, unordered in (
        (order.events[:at], order.moved, 0),
        (order.events[at + 1 :], 0, order.unordered),
    ):
        frees = [k for k in events if event[k] == FREED]
        part = replace(order, mapped=dict(mapped), events=events, moved=moved, unordered=unordered)
        part.pages = {k: order.pages[k] for k in frees}
        part.length_derived = order.length_derived & set(frees)
        for k in events:
            if event[k] == ALLOCATED:
                mapped[first[k]] = int(recording.pages[k])
            elif event[k] == FREED:
                mapped.pop(first[k], None)
        parts.append(part)
    before, after = parts
    after.skipped = []
    after.lazy = next(
        (int(recording.count[k]) - after.pages[k] for k in after.events if event[k] == FREED), 0
    )
    return before, after


class _Ordering:
    def __init__(self, recording: VmallocRecording) -> None:
        self.event, self.task, self.page = (
            column.tolist() for column in (recording.event, recording.task, recording.first)
        )
        # The number of areas of a purge, and the counter after a free.
        self.count, self.limit = recording.count.tolist(), recording.limit.tolist()
        self.recorded_pages = recording.pages.tolist()
        self.may_have_gaps = may_lack_events(recording)
        self.at_value: dict[int, list[int]] = {}
        self._match()
        self.frees = [k for k, event in enumerate(self.event) if event == FREED]
        self.free_number = {k: number for number, k in enumerate(self.frees)}
        self.taken = [False] * len(self.event)
        self.mapped: dict[int, int] = {}
        self.parts = [AreaOrder({}, self.earlier, self.map_of)]
        self.value = UNKNOWN
        # Whether the running purge has returned pages, and whether one that has ended has yet to be seen to.
        self.returned = self.owed = False
        # Whether the counter has exceeded its limit since the latest purge ended.
        self.crossed = False
        freed = set(self.map_of)
        for k, event in enumerate(self.event):
            if event == ALLOCATED:
                # The free of an area without a recorded one may be among the lost events.
                if k in freed:
                    self.mapped[self.page[k]] = self.recorded_pages[k]
                self.parts[-1].events.append(k)
            elif event == PURGED:
                self._end_purge(k)
            elif not self.taken[k]:
                self._free(k)

    def _match(self) -> None:
        """Find the length of each freed area, its map, and the previous event of each task."""
        self.pages = list(self.recorded_pages)
        self.map_of = [UNKNOWN] * len(self.event)
        self.earlier = [UNKNOWN] * len(self.event)
        mapped: dict[int, int] = {}
        latest: dict[int, int] = {}
        for k, (event, task, page) in enumerate(zip(self.event, self.task, self.page, strict=True)):
            self.earlier[k] = latest.get(task, UNKNOWN)
            latest[task] = k
            if event == ALLOCATED:
                mapped[page] = k
            elif event == FREED:
                self.map_of[k] = mapped.pop(page, UNKNOWN)
                self.pages[k] = self.pages[self.map_of[k]] if self.map_of[k] != UNKNOWN else UNKNOWN
                self.at_value.setdefault(self.count[k], []).append(k)

    def _free(self, k: int) -> None:
        """Let free `k` take effect, after those that were counted before it and recorded later."""
        chain = [k]
        while self.pages[chain[-1]] != UNKNOWN and (before := self._before(chain[-1])) != self.value:
            earlier = self._first_after(before, k)
            fits = earlier != UNKNOWN and self._in_progress(earlier, k)
            # A purge explains a fall of the counter without a late free.
            if not fits or (before < self.value and self._is_in_place(earlier)):
                # The latest of the chain continues from a free recorded in between, so it is later.
                if k < earlier < chain[-1]:
                    chain.pop()
                break
            chain.append(earlier)
        if self.pages[chain[-1]] == UNKNOWN or self._before(chain[-1]) != self.value:
            self._take_counted_next(k)
        self.parts[-1].moved += len(chain) - 1
        while chain:
            self._take(chain.pop())

    def _before(self, k: int) -> int:
        """The counter before free `k`, whose length is known."""
        return self.count[k] - self.pages[k]

    def _first_after(self, value: int, begin: int) -> int:
        """The first free recorded after event `begin` that left the counter at `value`."""
        there = self.at_value.get(value, [])
        at = bisect_right(there, begin)
        return there[at] if at < len(there) else UNKNOWN

    def _in_progress(self, k: int, begin: int) -> bool:
        """Whether free `k`, recorded later, can have been counted before event `begin` was recorded."""
        known = self.pages[k] != UNKNOWN and not self.taken[k]
        could = known and self.earlier[k] <= begin and self.map_of[k] <= begin
        return could and not (self._is_in_place(k) and self._is_continued(k))

    def _is_in_place(self, k: int) -> bool:
        """Whether free `k` continues from the previous one recorded, or from a purge recorded after that."""
        at = self.free_number[k]
        if at == 0:
            return True
        latest, before = self.frees[at - 1], self._before(k)
        purged = any(self.event[purge] == PURGED and self.count[purge] > 0 for purge in range(latest + 1, k))
        return before == self.count[latest] or (purged and before < self.count[latest])

    def _is_continued(self, k: int) -> bool:
        """Whether one of the next frees recorded continues from free `k`."""
        at = self.free_number[k]
        after = self.frees[at + 1 : at + 1 + _NEXT_FREES]
        return any(self.pages[free] != UNKNOWN and self._before(free) == self.count[k] for free in after)

    def _end_purge(self, k: int) -> None:
        """Let purge `k` end, after the frees that were counted before it returned its pages."""
        if self.count[k] > 0:
            if not self.returned:
                self._take_counted_next(k)
                self.owed = True
            self.returned = self.crossed = False
        self.parts[-1].events.append(k)

    def _take_counted_next(self, begin: int) -> None:
        """Let the frees take effect that continue from the counter, though recorded after event `begin`."""
        while (found := self._counted_next(begin)) != UNKNOWN:
            self.parts[-1].moved += 1
            self._take(found)

    def _counted_next(self, begin: int) -> int:
        """A free recorded after `begin` that was counted next, before `begin` was recorded."""
        if self.value != UNKNOWN:
            for pages in set(self.mapped.values()):
                found = self._first_after(self.value + pages, begin)
                if found == UNKNOWN or self.pages[found] != pages or not self._in_progress(found, begin):
                    continue
                # It is later if it continues from `begin` or from a free recorded in between.
                if not begin <= self._first_after(self.value, begin - 1) < found:
                    return found
        return UNKNOWN

    def _take(self, k: int) -> None:
        """Let free `k` take effect next."""
        self.taken[k] = True
        pages, lazy = self.pages[k], self.count[k]
        if pages != UNKNOWN and self.value not in (UNKNOWN, lazy - pages) and self._put_back(k):
            return
        if self.value == UNKNOWN:
            self.value = self.parts[-1].lazy = lazy - max(pages, 0)
        elif pages == UNKNOWN and (lazy <= self.value or self.crossed or self.owed):
            self.value = lazy
            self.parts.append(AreaOrder(dict(self.mapped), self.earlier, self.map_of, self.value))
        elif pages != UNKNOWN and lazy - pages > self.value:
            self.parts[-1].unordered += not self.may_have_gaps
            self.value = lazy - pages
            self.parts.append(AreaOrder(dict(self.mapped), self.earlier, self.map_of, self.value))
        part = self.parts[-1]
        self.mapped.pop(self.page[k], None)
        if pages == UNKNOWN:
            pages = lazy - self.value
            if pages == 0:
                part.skipped.append(k)
                return
            part.length_derived.add(k)
        if lazy - pages < self.value:
            self.returned, self.owed = not self.owed, False
        part.events.append(k)
        part.pages[k] = pages
        self.crossed |= lazy > self.limit[k]
        self.value = lazy

    def _put_back(self, k: int) -> bool:
        """Put free `k` among those taken, if the counter has fallen since; return whether it fits there.

        It was counted while a purge returned pages, and its event came later.
        """
        part, before = self.parts[-1], self._before(k)
        if self.may_have_gaps or before <= self.value:
            return False
        later = UNKNOWN
        for at in range(len(part.events) - 1, max(len(part.events) - _LATEST, 0) - 1, -1):
            free = part.events[at]
            if self.event[free] == FREED:
                if later != UNKNOWN and self.count[free] >= before:
                    following = part.events[later]
                    if self.count[k] < self.count[following] - part.pages[following]:
                        return False
                    part.events.insert(later, k)
                    part.pages[k] = self.pages[k]
                    part.moved += 1
                    self.mapped.pop(self.page[k], None)
                    return True
                later = at
            if free <= max(self.earlier[k], self.map_of[k]):
                return False
        return False
