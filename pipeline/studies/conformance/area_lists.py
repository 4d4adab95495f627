"""Areas that a purge collected out of order, because it collects the lists of CPUs one after another.

A kernel since 6.9 has a list for each CPU. A purge takes them in order of CPUs, and frees go on meanwhile: an
area freed to a list already taken is left for the next purge, and one freed later to another list is not. The
number of areas alone does not show this. It is assumed only if the pages that the purge returned, or an
address that is mapped again, contradict a collection at one moment. The shortest time between the lists that
explains both is then assumed.

Source: __purge_vmap_area_lazy of Linux 6.18, mm/vmalloc.c.
"""

from __future__ import annotations

import numpy as np

# Frees among which the moment of the first list is looked for.
_MOST_BETWEEN = 512


def find_exchange(
    lists: np.ndarray, pages: np.ndarray, at: int, end: int, excess: int, needed: set[int]
) -> tuple[list[int], list[int]]:
    """Find the frees that a purge left, and the later ones that it collected in their place.

    `lists` and `pages` have the list and length of each freed area; list -1 is unknown. The purge collected
    `at` areas, together with the purges before it, and ended before free number `end`. The first `at` areas
    have `excess` pages more than it returned. It must have collected the frees in `needed`. Returns two lists
    of numbers of frees of the same length, empty if no exchange explains this.
    """
    later = np.arange(at, end)
    splits = np.unique(lists[later][lists[later] > 0]).tolist()
    for begin in range(at - 1, max(at - _MOST_BETWEEN, 0) - 1, -1):
        earlier = np.arange(begin, at)
        for split in splits:
            left = earlier[(lists[earlier] >= 0) & (lists[earlier] < split)]
            taken = later[lists[later] >= split][: len(left)]
            fits = 0 < len(left) == len(taken) and needed <= set(taken.tolist())
            if fits and int(pages[left].sum() - pages[taken].sum()) == excess:
                return left.tolist(), taken.tolist()
    return [], []
