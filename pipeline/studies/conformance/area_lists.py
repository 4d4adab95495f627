"""Which areas a purge collected, given that it collects the lists of CPUs one after another.

A kernel since 6.9 has a list of lazy areas for each CPU. A purge takes them in order of CPUs, and frees go on
meanwhile: an area freed to a list already taken is left for the next purge, and one freed later to another
list is not. The moments at which lists are taken are not recorded. They follow from the number of areas, the
pages that were returned, the range flushed, and addresses that were mapped again. The shortest time between
the first list and the last that explains all of these is assumed.

Source: __purge_vmap_area_lazy of Linux 6.18, mm/vmalloc.c.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Combinations of number and pages that are tried for one purge.
_MOST_STATES = 400_000


@dataclass
class Frees:
    """Frees between the ends of two purges, in the order of the counter: arrays of the same length.

    lists: int64, the list that the area was put on; -1: unknown, or unknown when.
    pages: int64, length of the area.
    must: bool, the second purge has collected the area. must_not: bool, it has not.
    until: number of frees before the latest moment at which the second purge can have taken a list.
    """

    lists: np.ndarray
    pages: np.ndarray
    must: np.ndarray
    must_not: np.ndarray
    until: int


class TooManyError(Exception):
    """The search for the collected areas was given up."""


def find_collected(frees: Frees, number: int | None, total: int | None) -> np.ndarray | None:
    """Find the frees that a purge collected: `number` of them, with `total` pages; one of these can be None.

    Returns a bool for each free, or None if no order of lists explains these figures. Raises TooManyError if
    there are too many possibilities to tell.
    """
    length = len(frees.pages)
    search = _Search(frees, number, total)
    # About where the collection was, had it been at one moment.
    about = number if number is not None else int(np.searchsorted(search.sums, total or 0))
    if not 0 <= about <= length:
        return None
    width = 0
    while True:
        low, high = max(about - width, 0), min(about + width, frees.until)
        if low <= high and (found := search.find(low, high)) is not None:
            return found
        if low == 0 and about + width >= min(frees.until, length):
            return None
        width = max(2 * width, 1)


class _Search:
    def __init__(self, frees: Frees, number: int | None, total: int | None) -> None:
        self.frees, self.number, self.total = frees, number, total
        self.sums = np.concatenate([[0], np.cumsum(frees.pages)])
        self.tried = 0

    def find(self, low: int, high: int) -> np.ndarray | None:
        """Find the collected frees if all before `low` are, and none from `high` on is.

        List by list, all sums of areas and pages that can be reached are noted, each with the earliest moment
        at which its latest list can have been taken.
        """
        frees = self.frees
        if frees.must_not[:low].any() or frees.must[high:].any():
            return None
        chosen = np.arange(len(frees.pages)) < low
        lists = frees.lists[low:high]
        groups = [(low + np.flatnonzero(lists == one)).tolist() for one in np.unique(lists[lists >= 0])]
        groups += [[at] for at in (low + np.flatnonzero(lists < 0)).tolist()]
        ordered = len(groups) - int((lists < 0).sum())
        # What the groups from a number on can add at most.
        rest_areas, rest_pages = [0], [0]
        for group in reversed(groups):
            rest_areas.append(rest_areas[-1] + len(group))
            rest_pages.append(rest_pages[-1] + int(frees.pages[group].sum()))
        rest_areas.reverse()
        rest_pages.reverse()
        states: dict[tuple[int, int], int] = {(low, int(self.sums[low])): low}
        origins: list[dict[tuple[int, int], tuple[tuple[int, int], int]]] = []
        for turn, group in enumerate(groups):
            options = self._options(group, high, turn < ordered)
            left = rest_areas[turn + 1], rest_pages[turn + 1]
            reached: dict[tuple[int, int], int] = {}
            origin: dict[tuple[int, int], tuple[tuple[int, int], int]] = {}
            for (areas, pages), moment in states.items():
                for taken, more, earliest, latest in options:
                    if moment > latest:
                        continue
                    key = areas + taken, pages + more
                    if not self._can_reach(key, left):
                        continue
                    then = max(moment, earliest)
                    if reached.get(key, high + 1) > then:
                        reached[key], origin[key] = then, ((areas, pages), taken)
            self.tried += len(states) * len(options)
            if self.tried > _MOST_STATES:
                raise TooManyError
            states = reached
            origins.append(origin)
        reaching = [key for key in states if self._can_reach(key, (0, 0))]
        if not reaching:
            return None
        key = reaching[0]
        for group, origin in zip(reversed(groups), reversed(origins), strict=True):
            key, taken = origin[key]
            chosen[group[:taken]] = True
        return chosen

    def _can_reach(self, key: tuple[int, int], left: tuple[int, int]) -> bool:
        """Whether the wanted figures are between those so far and what `left` adds at most."""
        return all(
            wanted is None or so_far <= wanted <= so_far + more
            for so_far, wanted, more in zip(key, (self.number, self.total), left, strict=True)
        )

    def _options(self, group: list[int], high: int, in_order: bool) -> list[tuple[int, int, int, int]]:
        """How many frees of a group are collected: with their pages, and the moments at which that is so."""
        frees = self.frees
        options = []
        for taken in range(len(group) + 1):
            if frees.must[group[taken:]].any() or frees.must_not[group[:taken]].any():
                continue
            earliest = group[taken - 1] + 1 if taken and in_order else 0
            latest = group[taken] if taken < len(group) and in_order else high
            options.append((taken, int(frees.pages[group[:taken]].sum()), earliest, latest))
        return options
