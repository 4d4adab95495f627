"""Kernels before 6.9 join lazy areas that are next to each other, and a purge counts the joined ones.

They have one list of lazy areas, so a purge collects at one moment. Which kind of kernel a recording is of
follows from the purges: the pages that one returned tell how many areas it collected, and so whether its
number is that of the areas or of the joined ones.

Source: merge_or_add_vmap_area in free_vmap_area_noflush of Linux 6.3 to 6.8, insert_vmap_area in that of
Linux 6.9 and later, mm/vmalloc.c.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pipeline.studies.conformance.area_evidence import AreaEvidence


def count_joined(first: np.ndarray, pages: np.ndarray) -> int:
    """Return the number of areas after those that are next to each other were joined."""
    order = np.argsort(first, kind="stable")
    begin, end = first[order], (first + pages)[order]
    return len(begin) - int((begin[1:] == end[:-1]).sum())


def joins_areas(parts: Iterable[AreaEvidence]) -> bool:
    """Whether more purges have the number of joined areas than have that of all areas."""
    return sum(map(_weigh, parts)) > 0


def _weigh(part: AreaEvidence) -> int:
    weight, begin = 0, -1
    for purge in range(len(part.purges)):
        end = _frees_collected(part, purge)
        if begin >= 0 and end >= begin:
            joined = count_joined(part.first[begin:end], part.pages[begin:end])
            if joined < end - begin:
                weight += int(part.areas[purge] == joined) - int(part.areas[purge] == end - begin)
        begin = end
    return weight


def _frees_collected(part: AreaEvidence, purge: int) -> int:
    """Number of frees that a purge and those before it collected if they did at one moment; -1: unknown."""
    returned = part.returned_by(purge)
    if returned is None or returned < part.order.lazy:
        return -1
    at = int(np.searchsorted(part.sums, returned - part.order.lazy))
    return at if at <= part.ends[purge] and part.sums[at] == returned - part.order.lazy else -1
