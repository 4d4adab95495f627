"""Find which kinds of operation use the same page set, and which tasks share it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pipeline.schema.names import KINDS
from pipeline.workload.fit.observed import Observed
from pipeline.workload.spec import Sharing

# Two kinds use the same page set if this fraction of one kind's operations is on pages that the other maps.
_COMMON = 0.5
# A page set is private if this fraction of its operations is on pages that only one task or process maps.
_PRIVATE = 0.5


@dataclass(frozen=True)
class FittedPageSet:
    """A page set.

    kinds: codes of the kinds that use it.
    sharing: which tasks share an instance.
    private: fraction of its operations on pages with this sharing.
    counts: map counts of its pages; in a set per process or task, a page counts once for each of them.
    """

    kinds: tuple[int, ...]
    sharing: Sharing
    private: float
    counts: np.ndarray

    @property
    def name(self) -> str:
        """Return a name that consists of the kinds."""
        return "_and_".join(KINDS[kind] for kind in self.kinds)


def fit_page_sets(observed: Observed) -> list[FittedPageSet]:
    """Group the kinds of a trace into page sets and find the sharing of each."""
    kinds = [int(kind) for kind in np.unique(observed.kind)]
    pages = {kind: np.unique(observed.page[observed.kind == kind]) for kind in kinds}
    set_of = {kind: kind for kind in kinds}
    for one, other in sorted(combinations(kinds, 2), key=lambda pair: pair[::-1]):
        common = max(_overlap(observed, one, pages[other]), _overlap(observed, other, pages[one]))
        if common > _COMMON:
            joined, kept = set_of[other], set_of[one]
            set_of = {kind: kept if number == joined else number for kind, number in set_of.items()}
    return [
        _find_sharing(observed, tuple(kind for kind in kinds if set_of[kind] == number))
        for number in sorted(set(set_of.values()))
    ]


def _overlap(observed: Observed, kind: int, pages: np.ndarray) -> float:
    """Return the fraction of a kind's operations on `pages`."""
    return float(np.isin(observed.page[observed.kind == kind], pages).mean())


def _find_sharing(observed: Observed, kinds: tuple[int, ...]) -> FittedPageSet:
    here = np.isin(observed.kind, kinds)
    page = observed.page[here]
    owners: tuple[tuple[Sharing, np.ndarray], ...] = (
        ("task", observed.task[here]), ("process", observed.process[here]),
    )  # fmt: skip
    private = 0.0
    # With only one task or process, sharing is unknown, and the page set is shared by all.
    for sharing, owner in owners:
        if len(np.unique(owner)) == 1:
            continue
        private = _private(page, owner)
        alike = sharing == "task" and len(np.unique(observed.task)) == len(np.unique(observed.process))
        if private > _PRIVATE and not alike:
            return FittedPageSet(kinds, sharing, private, _counts(page, owner))
    return FittedPageSet(kinds, "all", 1.0 - private, _counts(page, np.zeros_like(page)))


def _private(page: np.ndarray, owner: np.ndarray) -> float:
    """Return the fraction of operations on pages that have only one owner."""
    pairs = np.unique(np.stack([page, owner.astype(np.int64)], 1), axis=0)
    pages, owners = np.unique(pairs[:, 0], return_counts=True)
    return float((owners[np.searchsorted(pages, page)] == 1).mean())


def _counts(page: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Return how often each owner mapped each page, int64 [existing pairs]."""
    return np.unique(owner.astype(np.int64) * (int(page.max()) + 1) + page, return_counts=True)[1]
