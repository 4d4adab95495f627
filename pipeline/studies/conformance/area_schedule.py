"""The turns of a recording of areas: maps, frees, and the two moments of each purge, in the order of effect.

The event of a purge comes at its end. When it collected the lazy areas is not recorded; it is the moment at
which their number was that of the purge. The number of areas that were lazy before the recording is not
recorded either: it follows from the first purge whose pages are known, by the fall of the counter at the next
free. All later numbers, ranges and falls of the counter are then determined and can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.importing.vmalloc.recording import ALLOCATED, FREED, PURGED, VmallocRecording
from pipeline.studies.conformance.area_lists import find_exchange
from pipeline.studies.conformance.area_order import AreaOrder, order_events

MAP = 0
FREE = 1
COLLECT = 2
END = 3
MAKE_LAZY = 4
UNMAP = 5
COUNT = 6


@dataclass
class AreaSchedule:
    """Turns of a part of a recording: a kind, and the number of the event (MAKE_LAZY: of an entry of `lazy`).

    FREE is COUNT and UNMAP in one. They are apart for the frees that a purge left, although it collected
    later ones: UNMAP follows the collection. `exchanged` is the number of areas collected in their place.
    `lazy` are the areas that were lazy at the beginning, as the length of each in pages; their addresses are
    unknown, and `number_told` says whether their number is known. `cut_off` frees at the end have no turns:
    they show a purge whose event is not in the recording. The numbers of areas of the purges in
    `number_derived` determined it, and the ranges of those in `range_unknown` contain such areas.
    """

    order: AreaOrder
    turns: list[tuple[int, int]] = field(default_factory=list)
    lazy: list[int] = field(default_factory=list)
    number_told: bool = True
    cut_off: int = 0
    exchanged: int = 0
    number_derived: set[int] = field(default_factory=set)
    range_unknown: set[int] = field(default_factory=set)


def schedule_all(recording: VmallocRecording, path: Path) -> list[AreaSchedule]:
    """Schedule all parts of the recording at `path`.

    Raises InputError if it has no allocation or no free, if the counter falls and it has no purge, or if an
    area has no page.
    """
    empty = np.flatnonzero((recording.event == ALLOCATED) & (recording.pages < 1))
    if len(empty):
        raise InputError(
            f"{path}: event {int(empty[0]):,} allocates an area of {int(recording.pages[empty[0]]):,} pages; "
            "the recording is damaged: copy it again"
        )
    parts = [schedule_turns(recording, order) for order in order_events(recording)]
    needed = {ALLOCATED: "alloc_vmap_area", FREED: "free_vmap_area_noflush"}
    if any(part.cut_off for part in parts):
        needed[PURGED] = "purge_vmap_area_lazy"
    for event, name in needed.items():
        if not (recording.event == event).any():
            raise InputError(
                f"{path}: the recording has no {name}; record all three events of vmalloc, for longer"
            )
    return parts


def schedule_turns(recording: VmallocRecording, order: AreaOrder) -> AreaSchedule:
    """Find the moments of all purges of a part, and the areas that were lazy at its beginning."""
    return _Scheduling(recording, order).schedule


class _Scheduling:
    def __init__(self, recording: VmallocRecording, order: AreaOrder) -> None:
        self.order = order
        code = recording.event[order.events].tolist()
        frees = [k for k, kind in zip(order.events, code, strict=True) if kind == FREED]
        self.purges = [k for k, kind in zip(order.events, code, strict=True) if kind == PURGED]
        self.areas = recording.count[self.purges].tolist()
        # Number of frees before the end of each purge.
        before = np.cumsum([kind == FREED for kind in code])
        self.ends = [int(before[at]) for at, kind in enumerate(code) if kind == PURGED]
        self.pages = np.cumsum([0] + [order.pages[k] for k in frees])
        # Pages that had been returned before each free.
        counters = recording.count[frees] - np.diff(self.pages)
        self.returned = (order.lazy + self.pages[:-1] - counters).tolist()
        self.schedule = AreaSchedule(order)
        first, known = self._find_lazy()
        collections = self._find_collections(first, known)
        # Frees before its last list was collected that the purge of a number left for the next.
        self.left: dict[int, list[int]] = {}
        latest = collections
        if self.schedule.number_told:
            latest = self._find_exchanges(recording, frees, collections)
        self._put_in_order(code, frees, latest)
        self._cut_off(len(frees), collections)

    def _find_lazy(self) -> tuple[int, int]:
        """Find the areas that are lazy at the beginning.

        Returns the number of purges that had collected their areas by then, and the number of the other lazy
        areas.
        """
        schedule, lazy = self.schedule, self.order.lazy
        # How many of them the first purge had collected.
        self.gone = 0
        if lazy == 0:
            return 0, 0
        first = gone = 0
        for purge, (end, later) in enumerate(pairwise([*self.ends, len(self.returned) + 1])):
            if end == min(later, len(self.returned)):
                continue
            # The next free shows all pages returned by this purge and those before it.
            returned = self.returned[end]
            areas = sum(self.areas[first : purge + 1])
            if returned < lazy:
                schedule.lazy += _divide(returned - gone, areas)
                schedule.number_derived.update(self.purges[first : purge + 1])
                schedule.range_unknown.update(self.purges[first : purge + 1])
                first, gone = purge + 1, returned
                self.gone = len(schedule.lazy)
                continue
            frees = int(np.searchsorted(self.pages, returned - lazy))
            if frees > end or int(self.pages[frees]) != returned - lazy:
                continue
            known = min(max(areas - frees, 1), lazy - gone)
            schedule.lazy += _divide(lazy - gone, known)
            # An impossible number is a difference.
            if known == areas - frees:
                schedule.number_derived.update(self.purges[first : purge + 1])
            schedule.range_unknown.update(self.purges[first : first + 1])
            return first, known
        schedule.number_told = False
        schedule.lazy += _divide(lazy - gone, 1)
        schedule.number_derived.update(self.purges[first:])
        schedule.range_unknown.update(self.purges[first : first + 1])
        return first, 1

    def _find_collections(self, first: int, known: int) -> list[int]:
        """Number of frees before the collection of each purge, -1 if it was before the beginning."""
        at = [-1] * first
        collected, earliest = -known, 0
        for purge in range(first, len(self.purges)):
            collected += self.areas[purge]
            told = collected if self.schedule.number_told else self.ends[purge]
            at.append(min(max(told, earliest), self.ends[purge]))
            earliest = self.ends[purge]
        return at

    def _find_exchanges(
        self, recording: VmallocRecording, frees: list[int], collections: list[int]
    ) -> list[int]:
        """Find the purges whose lists were collected at different moments.

        Returns the number of frees before the collection of the last list of each purge.
        """
        cpu, map_of = recording.cpu.tolist(), self.order.map_of
        lists = np.array([cpu[map_of[k]] if map_of[k] >= 0 else -1 for k in frees], np.int64)
        pages = np.diff(self.pages)
        latest = list(collections)
        for purge, at in enumerate(collections):
            end = self.ends[purge]
            # The next free shows all returned pages, unless another purge has collected before it.
            then = collections[purge + 1] if purge + 1 < len(collections) else len(frees)
            if at < 0 or not end < then:
                continue
            needed = self._mapped_again(recording, frees, at, end, frees[then - 1])
            excess = self.order.lazy + int(self.pages[at]) - self.returned[end]
            if needed or excess:
                left, taken = find_exchange(lists, pages, at, end, excess, needed)
                self.schedule.exchanged += len(left)
                if left:
                    latest[purge] = taken[-1] + 1
                    self.left[purge] = left + sorted(set(range(at, taken[-1])) - set(taken))
        return latest

    def _mapped_again(
        self, recording: VmallocRecording, frees: list[int], at: int, end: int, until: int
    ) -> set[int]:
        """Frees from number `at` to before `end` whose addresses are mapped again before event `until`."""
        first = recording.first.tolist()
        free_of = {first[frees[free]]: free for free in range(at, end)}
        maps = np.flatnonzero(recording.event[:until] == ALLOCATED)
        later = maps[np.searchsorted(maps, frees[at]) :].tolist() if at < end else []
        found = ((k, free_of[first[k]]) for k in later if first[k] in free_of)
        return {free for k, free in found if k > frees[free]}

    def _put_in_order(self, code: list[int], frees_at: list[int], collections: list[int]) -> None:
        """List the turns; a collection comes directly after the last free whose area it collects."""
        moved = {frees_at[free] for group in self.left.values() for free in group}
        turns, lazy = self.schedule.turns, self.schedule.lazy
        begun = ended = frees = 0
        turns += [(MAKE_LAZY, number) for number in range(self.gone)]
        if collections.count(-1):
            turns.append((COLLECT, self.purges[0]))
            begun = 1
        turns += [(MAKE_LAZY, number) for number in range(self.gone, len(lazy))]
        for kind, k in [(ALLOCATED, -1), *zip(code, self.order.events, strict=True)]:
            if kind == PURGED:
                turns.append((END, k))
                ended += 1
            elif kind == FREED:
                turns.append((COUNT if k in moved else FREE, k))
                frees += 1
            elif k >= 0:
                turns.append((MAP, k))
            if begun == ended < len(self.purges) and collections[begun] <= frees:
                turns.append((COLLECT, self.purges[begun]))
                turns += [(UNMAP, frees_at[free]) for free in self.left.get(begun, [])]
                begun += 1

    def _cut_off(self, frees: int, collections: list[int]) -> None:
        """Omit the turns from the first free that shows a purge without an event."""
        end = self.ends[-1] if self.ends else 0
        returned = self.order.lazy + int(self.pages[max(collections[-1], 0)]) if collections else 0
        returned = max([returned, *self.returned[end : end + 1]]) if collections else 0
        first = next((free for free in range(end, frees) if self.returned[free] > returned), frees)
        self.schedule.cut_off = frees - first
        turns = self.schedule.turns
        at = [number for number, (kind, _) in enumerate(turns) if kind in (FREE, COUNT)]
        if first < frees:
            del turns[at[first] :]


def _divide(pages: int, areas: int) -> list[int]:
    """Divide pages among areas, of at least one page each."""
    areas = min(areas, pages)
    return [1] * (areas - 1) + [pages - areas + 1] if areas > 0 else []
