"""The turns of a recording of areas: maps, frees, and the two moments of each purge, in the order of effect.

The event of a purge comes at its end. Which of the lazy areas it collected is not recorded, but follows from
the figures of the recording (see `area_lists`). The number of areas that were lazy before the recording is
not recorded either: it follows from the first purge whose pages are known, by the fall of the counter at the
next free. All later numbers, ranges and falls of the counter are then determined and can be compared.

If no choice of areas explains the figures of a purge, frees were in progress on several CPUs, and their order
is not the one assumed. Another part of the recording then begins after the purge. A purge whose figures are
off by more than the frees that can be in progress at once is compared, which shows the difference.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.importing.vmalloc.recording import ALLOCATED, FREED, PURGED, VmallocRecording
from pipeline.studies.conformance.area_evidence import AreaEvidence
from pipeline.studies.conformance.area_joins import count_joined, joins_areas
from pipeline.studies.conformance.area_lists import Frees, TooManyError, find_collected
from pipeline.studies.conformance.area_order import AreaOrder, order_events, split_order

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
    later ones: UNMAP follows the collection. `left` is the number of such frees. The last `early` of the lazy
    areas were returned by purges that ended before the first free, so their lengths are unknown.
    `untold` is the event of a purge that the recording does not explain, or -1; another part begins after it.
    `lazy` are the areas that were lazy at the beginning, as the length of each in pages; their addresses are
    unknown, and `number_told` says whether their number is known. `cut_off` frees at the end have no turns:
    they show a purge without turns. The numbers of areas of the purges in `number_derived` determined it, and
    the ranges of those in `range_unknown` contain such areas. `joins` says whether the kernel joins lazy
    areas (see `area_joins`).
    """

    order: AreaOrder
    turns: list[tuple[int, int]] = field(default_factory=list)
    lazy: list[int] = field(default_factory=list)
    number_told: bool = True
    cut_off: int = 0
    left: int = 0
    early: int = 0
    untold: int = -1
    number_derived: set[int] = field(default_factory=set)
    range_unknown: set[int] = field(default_factory=set)
    joins: bool = False


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
    parts: list[AreaSchedule] = []
    orders = order_events(recording)[::-1]
    joins = joins_areas(AreaEvidence(recording, order) for order in orders)
    while orders:
        order = orders.pop()
        part = schedule_turns(recording, order, joins)
        if part.untold >= 0:
            before, after = split_order(recording, order, part.untold)
            orders.append(after)
            part, untold = schedule_turns(recording, before, joins), part.untold
            part.untold = untold
        parts.append(part)
    needed = {ALLOCATED: "alloc_vmap_area", FREED: "free_vmap_area_noflush"}
    if any(part.cut_off and part.untold < 0 for part in parts):
        needed[PURGED] = "purge_vmap_area_lazy"
    for event, name in needed.items():
        if not (recording.event == event).any():
            raise InputError(
                f"{path}: the recording has no {name}; record all three events of vmalloc, for longer"
            )
    return parts


def schedule_turns(recording: VmallocRecording, order: AreaOrder, joins: bool = False) -> AreaSchedule:
    """Find the moments of all purges of a part, and the areas that were lazy at its beginning."""
    return _Scheduling(recording, order, joins).schedule


class _Scheduling:
    def __init__(self, recording: VmallocRecording, order: AreaOrder, joins: bool) -> None:
        self.order, self.cpus = order, len(np.unique(recording.cpu))
        code = recording.event[order.events].tolist()
        self.evidence = AreaEvidence(recording, order)
        frees, self.purges, self.ends = self.evidence.frees, self.evidence.purges, self.evidence.ends
        self.areas, self.pages = self.evidence.areas.tolist(), self.evidence.sums
        self.returned = self.evidence.returned
        if joins:
            # There is one list.
            self.evidence.lists[:] = 0
        self.schedule = AreaSchedule(order, number_told=not joins, joins=joins)
        # Frees before its last list was collected that the purge of a number left for the next.
        self.left: dict[int, list[int]] = {}
        first, known = self._find_lazy()
        collections = self._find_collections(first, known)
        if self.schedule.untold >= 0:
            return
        self._put_in_order(code, frees, collections)
        self._cut_off(len(frees), collections)

    def _find_lazy(self) -> tuple[int, int]:
        """Find the areas that are lazy at the beginning.

        Returns the number of purges that had collected their areas by then, and the number of the other lazy
        areas.
        """
        schedule, lazy = self.schedule, self.order.lazy
        # The purges that ended before the first free returned areas of unknown length.
        self.early = first = sum(end == 0 for end in self.ends)
        unknown = [purge for purge, areas in zip(self.purges[:first], self.areas, strict=False) if areas]
        schedule.number_derived.update(unknown)
        schedule.range_unknown.update(unknown)
        # How many of the lazy areas the next purge had collected.
        self.gone = gone = 0
        if lazy == 0:
            return first, 0
        for purge in range(first, len(self.purges)):
            if (returned := self.evidence.returned_by(purge)) is None:
                continue
            areas = sum(self.areas[first : purge + 1])
            if returned < lazy:
                schedule.lazy += _divide(returned - gone, areas)
                schedule.number_derived.update(self.purges[first : purge + 1])
                schedule.range_unknown.update(self.purges[first : purge + 1])
                first, gone = purge + 1, returned
                self.gone = len(schedule.lazy)
                continue
            begin = self.ends[purge - 1] if purge > first else 0
            collected = self._search(purge, begin, np.zeros(0, np.int64), None)
            if collected is None:
                continue
            frees = begin + int(collected.sum())
            if schedule.joins:
                # Their own number does not show.
                areas = frees + 1
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
        """Number of frees before each purge collected its last list, -1 if it did before the beginning."""
        at = [-1] * first
        begin, left = 0, np.zeros(0, np.int64)
        for purge in range(first, len(self.purges)):
            end = self.ends[purge]
            number = self.areas[purge] - (known if purge == first else len(left))
            told, joins = self.schedule.number_told, self.schedule.joins
            if joins and self.evidence.returned_by(purge) is None:
                collected = self._search_joined(purge, begin, left)
            else:
                collected = self._search(purge, begin, left, number if told else None)
            if collected is None or not self._agrees(purge, begin, left, collected):
                if joins or not self._is_clear(purge, begin, left, number):
                    self.schedule.untold = self.purges[purge]
                    return at
                if collected is None:
                    collected = np.arange(end - begin) < (number if told else end - begin)
            taken = begin + np.flatnonzero(collected)
            at.append(int(taken[-1]) + 1 if len(taken) else begin)
            left = begin + np.flatnonzero(~collected)
            if len(early := left[left < at[-1]]):
                self.left[purge] = early.tolist()
                self.schedule.left += len(early)
            begin = end
        return at

    def _search(self, purge: int, begin: int, left: np.ndarray, number: int | None) -> np.ndarray | None:
        """Find which of the frees from `begin` on a purge collected, as a bool for each; None if none fit."""
        end = self.ends[purge]
        returned = self.evidence.returned_by(purge)
        total = None if returned is None else returned - self.order.lazy - int(self.pages[begin])
        if number is None and total is None:
            return None
        told = self._evidence_of(purge, begin, left, number)
        late = replace(told, lists=np.where(self.evidence.late[begin:end], -1, told.lists))
        for frees in (told, late):
            with suppress(TooManyError):
                if (found := find_collected(frees, number, total)) is not None:
                    return found
        return None

    def _search_joined(self, purge: int, begin: int, left: np.ndarray) -> np.ndarray | None:
        """Find the fewest frees from `begin` on that are as many joined areas as a purge counted.

        More may be as many, so its number and range cannot be compared.
        """
        event, evidence, end = self.purges[purge], self.evidence, self.ends[purge]
        self.schedule.number_derived.add(event)
        self.schedule.range_unknown.add(event)
        for number in range(end - begin + 1):
            areas = np.concatenate([left, np.arange(begin, begin + number)])
            if count_joined(evidence.first[areas], evidence.pages[areas]) == self.areas[purge]:
                return np.arange(end - begin) < number
        return None

    def _evidence_of(self, purge: int, begin: int, left: np.ndarray, number: int | None) -> Frees:
        """What the recording tells of the frees from `begin` on, of which `purge` collected `number`."""
        end, after = self.ends[purge], 0
        if number is not None and purge + 1 < len(self.purges):
            after = max(self.areas[purge + 1] - (end - begin - number), 0)
        return self.evidence.between(purge, begin, left, after)

    def _agrees(self, purge: int, begin: int, left: np.ndarray, collected: np.ndarray) -> bool:
        """Whether the counter and the range flushed agree with what a purge is to have collected."""
        own, evidence = slice(begin, self.ends[purge]), self.evidence
        after = self.order.lazy + int(self.pages[begin] + evidence.pages[own][collected].sum())
        rises = all(one <= other for one, other in pairwise([*self.returned[own], after]))
        areas = np.concatenate([left, begin + np.flatnonzero(collected)])
        first, end = evidence.first[areas], evidence.first[areas] + evidence.pages[areas]
        return rises and bool(((first >= evidence.begin[purge]) & (end <= evidence.end[purge])).all())

    def _is_clear(self, purge: int, begin: int, left: np.ndarray, number: int) -> bool:
        """Whether a purge is off by more than the frees that can be in progress, one on each CPU."""
        frees = self._evidence_of(purge, begin, left, number)
        least, most = int(frees.must.sum()), min(len(frees.pages), frees.until)
        return not least - self.cpus <= number <= most + self.cpus

    def _put_in_order(self, code: list[int], frees_at: list[int], collections: list[int]) -> None:
        """List the turns; a collection comes directly after the last free whose area it collects."""
        moved = {frees_at[free] for group in self.left.values() for free in group}
        turns, lazy = self.schedule.turns, self.schedule.lazy
        begun = ended = frees = 0
        known = len(lazy)
        for purge, areas in zip(self.purges[: self.early], self.areas, strict=False):
            turns += [(MAKE_LAZY, len(lazy) + number) for number in range(areas)]
            turns += [(COLLECT, purge), (END, purge)]
            lazy += [1] * areas
            self.schedule.early += areas
        begun = ended = self.early
        turns += [(MAKE_LAZY, number) for number in range(self.gone)]
        if collections.count(-1) > self.early:
            turns.append((COLLECT, self.purges[begun]))
            begun += 1
        turns += [(MAKE_LAZY, number) for number in range(self.gone, known)]
        for kind, k in [(ALLOCATED, -1), *zip(code, self.order.events, strict=True)]:
            if kind == PURGED:
                if k not in self.purges[: self.early]:
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
        """Omit the turns from the first free or map that shows a purge without an event."""
        end = self.ends[-1] if self.ends else 0
        returned = self.order.lazy + int(self.pages[max(collections[-1], 0)]) if collections else 0
        returned = max([returned, *self.returned[end : end + 1]]) if collections else 0
        first = next((free for free in range(end, frees) if self.returned[free] != returned), frees)
        turns, evidence = self.schedule.turns, self.evidence
        at = [number for number, (kind, _) in enumerate(turns) if kind in (FREE, COUNT)]
        cut = at[first] if first < frees else len(turns)
        left = self.left.get(len(self.purges) - 1, [])
        lazy = [*left, *range(max(collections[-1], 0) if collections else 0, frees)]
        shown = set(evidence.again_event[lazy][evidence.again_purge[lazy] == len(self.purges)].tolist())
        maps = (number for number, (kind, k) in enumerate(turns) if kind == MAP and k in shown)
        cut = min([cut, *maps])
        self.schedule.cut_off = sum(number >= cut for number in at)
        del turns[cut:]


def _divide(pages: int, areas: int) -> list[int]:
    """Divide pages among areas, of at least one page each."""
    areas = min(areas, pages)
    return [1] * (areas - 1) + [pages - areas + 1] if areas > 0 else []
