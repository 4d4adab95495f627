"""Fit the number of pages and the Zipf exponent of a page set by maximum likelihood from map counts.

Page numbers contain no ranks, and sorting pages by their counts would confuse chance with popularity. The
likelihood is therefore that of the spectrum: the number of pages mapped once, twice, and so on. With n
operations, page i of N is mapped Poisson(n p_i) times, with p_i proportional to (i + 1)**-s. The expected
number of pages mapped k times is the sum of these probabilities, and the observed number is assumed to be
Poisson with this mean. N can be fitted although unmapped pages are not observed: if nearly all pages of a set
were mapped, few of them were mapped only once. Counts above 32 are grouped into bins of equal ratio.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.workload.sampling_tables import MAX_ALIAS_PAGES

_EXACT = 32
_RATIO = 1.25
_RANK_GROUPS = 400
_LARGEST_SKEW = 5.0
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_NODES = np.linspace(-9.0, 9.0, 3601)
_NORMAL = np.array([0.5 * (1.0 + math.erf(node / math.sqrt(2.0))) for node in _NODES])


@dataclass(frozen=True)
class Popularity:
    """`pages` of an instance of a page set and its `skew`, as in a spec."""

    pages: int
    skew: float


def fit_popularity(counts: np.ndarray, instances: int) -> Popularity:
    """Fit the map counts of pages (int64 [observed pages], each >= 1).

    The pages are assumed to be divided among `instances` equal instances of the set, each with an equal share
    of the operations.
    """
    operations = float(counts.sum()) / instances
    seen = max(len(counts) / instances, 1.0)
    if seen == 1.0:
        return Popularity(1, 0.0)
    edges = _edges(int(counts.max()))
    observed = np.histogram(counts, edges)[0].astype(np.float64)

    def unlikelihood(pages: int, skew: float) -> float:
        expected = np.maximum(instances * _expected(pages, skew, operations, edges), 1e-9)
        return float((expected - observed * np.log(expected)).sum())

    def best_skew(pages: int) -> tuple[float, float]:
        return _least(lambda skew: unlikelihood(pages, skew), 0.0, _LARGEST_SKEW, 1e-4)

    least = math.log(max(math.ceil(seen), 2))
    # Far above the observed number, more pages do not change the likelihood.
    most = math.log(min(max(seen * 1000.0, 1e4), MAX_ALIAS_PAGES))
    grid = np.linspace(least, max(most, least + 1e-9), 25)
    at = int(np.argmin([best_skew(round(math.exp(log)))[1] for log in grid]))
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    log_pages, _ = _least(lambda log: best_skew(round(math.exp(log)))[1], low, high, 1e-3)
    pages = round(math.exp(log_pages))
    return Popularity(pages, round(best_skew(pages)[0], 3))


def _least(of: Callable[[float], float], low: float, high: float, to: float) -> tuple[float, float]:
    """Return the position and value of a unimodal function's minimum in [low, high], by golden section."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    of_left, of_right = of(left), of(right)
    while high - low > to:
        if of_left <= of_right:
            high, right, of_right = right, left, of_left
            left = high - _GOLDEN * (high - low)
            of_left = of(left)
        else:
            low, left, of_left = left, right, of_right
            right = low + _GOLDEN * (high - low)
            of_right = of(right)
    return (left, of_left) if of_left <= of_right else (right, of_right)


def _edges(largest: int) -> np.ndarray:
    """Return bin edges of counts, float64: 1, 2, ... 32, then growing by a quarter to beyond the largest."""
    edges = [float(count) for count in range(1, _EXACT + 1)]
    while edges[-1] <= largest * 2:
        edges.append(float(math.ceil(edges[-1] * _RATIO)))
    return np.array(edges)


def _expected(pages: int, skew: float, operations: float, edges: np.ndarray) -> np.ndarray:
    """Return the expected number of pages with a count in each bin, float64 [bins]."""
    ranks, sizes = _rank_groups(pages)
    weights = ranks**-skew
    means = operations * weights / (weights * sizes).sum()
    below = _poisson_below(means, edges)
    return (sizes[:, None] * np.diff(below, axis=1)).sum(axis=0)


def _rank_groups(pages: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle rank and the size of groups of ranks from 1, single at first and then growing."""
    if pages <= _RANK_GROUPS:
        return np.arange(1.0, pages + 1.0), np.ones(pages)
    edges = np.unique(np.round(np.geomspace(1.0, pages + 1.0, _RANK_GROUPS)))
    sizes = np.diff(edges)
    return np.sqrt(edges[:-1] * np.maximum(edges[1:] - 1.0, edges[:-1])), sizes


def _poisson_below(means: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return P(Poisson(mean) < edge), float64 [means, edges].

    The result is exact for edges up to 32. For larger edges it is the cube-root normal approximation of
    E. B. Wilson and M. M. Hilferty, "The Distribution of Chi-Square", PNAS 17 (1931).
    """
    counts = np.arange(_EXACT, dtype=np.float64)
    logs = np.cumsum(np.concatenate([[0.0], np.log(np.arange(1.0, _EXACT))]))
    mean = np.maximum(means, 1e-300)[:, None]
    exact = np.cumsum(np.exp(counts * np.log(mean) - mean - logs), axis=1)
    below = np.empty((len(means), len(edges)))
    below[:, :_EXACT] = exact[:, : min(_EXACT, len(edges))]
    large = edges[_EXACT:]
    if len(large):
        # P(Poisson(m) < k) = P(chi-square of 2k degrees > 2m)
        degrees = 9.0 * large
        normal = ((mean / large) ** (1.0 / 3.0) - (1.0 - 1.0 / degrees)) * np.sqrt(degrees)
        below[:, _EXACT:] = 1.0 - np.interp(normal, _NODES, _NORMAL)
    return below
