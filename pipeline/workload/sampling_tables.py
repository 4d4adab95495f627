"""Tables that convert raw random bits into times and pages, using only integer arithmetic.

Every draw uses one uint64 of a bit generator. A table lookup takes no longer than generating the bits and,
unlike `log` or `exp`, gives the same value on every machine.

`QuantileTable` has the values of each of K distributions at 4,096 equally likely steps, and interpolates
linearly between them. The top step is divided into 4,096 steps, and the top one of these again, so the tail
is accurate to a probability of 2**-36. The mean of an exponential distribution is 0.003 % too large.

`AliasTable` is Walker's alias method (A. J. Walker, ACM TOMS 3(3), 1977) for the Zipf-Mandelbrot law: the
probability of page i of n is proportional to (i + 1 + hot)**-skew. A draw takes one random memory access for
any n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.schema.trace import MAX_TIME_NS
from pipeline.workload.distributions import Constant, TimeDistribution

_CELL_BITS = 12
_CELLS = 1 << _CELL_BITS
_LEVELS = 3
_FRACTION_BITS = 16
MAX_ALIAS_PAGES = 1 << 24

Raw = NDArray[np.uint64]
Integers = NDArray[np.int64]
Index = NDArray[np.intp]
Columns = dict[str, NDArray[Any]]
"""Trace rows as columns of the same length, by name."""


class QuantileTable:
    """Draws from K distributions: `draw(raw, which)` returns one time in ns per row."""

    def __init__(self, distributions: Sequence[TimeDistribution]) -> None:
        """Build the tables; each distinct distribution is computed once."""
        distinct = {repr(distribution): distribution for distribution in distributions}
        tabulated = {text: _tabulate(distribution) for text, distribution in distinct.items()}
        levels = [tabulated[repr(distribution)] for distribution in distributions]
        # Shape [level, K * cells]: one gather operation serves rows of all K distributions.
        self._low = np.stack([np.concatenate([low[at] for low, _ in levels]) for at in range(_LEVELS)])
        self._width = np.stack([np.concatenate([width[at] for _, width in levels]) for at in range(_LEVELS)])
        self.means_ns = np.array([_mean(low, width) for low, width in levels])
        same = bool((self._width == 0).all() and (self._low == self._low[0, 0]).all())
        self._constant = int(self._low[0, 0]) if same else None

    def draw(self, raw: Raw, which: NDArray[np.intp] | int = 0) -> Integers:
        """Draw one time per element of `raw` (uint64 [n]) from distribution `which` (int, or int [n]).

        Return int64 [n] in ns, 0 <= value < 2**46.
        """
        if self._constant is not None:
            return np.full(raw.shape, self._constant, np.int64)
        cell = (raw >> np.uint64(64 - _CELL_BITS)).view(np.int64)
        tail = np.flatnonzero(cell == _CELLS - 1)
        drawn = self._interpolate(0, raw, cell, which)
        for level in range(1, _LEVELS):
            if not tail.size:
                break
            rest = raw[tail] << np.uint64(level * _CELL_BITS)
            cell = (rest >> np.uint64(64 - _CELL_BITS)).view(np.int64)
            drawn[tail] = self._interpolate(
                level, rest, cell, which if isinstance(which, int) else which[tail]
            )
            tail = tail[cell == _CELLS - 1]
        return drawn

    def _interpolate(self, level: int, raw: Raw, cell: Integers, which: NDArray[np.intp] | int) -> Integers:
        at = cell + which * _CELLS
        fraction = ((raw << np.uint64(_CELL_BITS)) >> np.uint64(64 - _FRACTION_BITS)).view(np.int64)
        fraction *= self._width[level].take(at)
        fraction += 1 << (_FRACTION_BITS - 1)
        fraction >>= _FRACTION_BITS
        fraction += self._low[level].take(at)
        return fraction


def _tabulate(distribution: TimeDistribution) -> tuple[Integers, Integers]:
    """Return the lowest value and the width of each cell in ns, both int64 [levels, cells]."""
    low = np.empty((_LEVELS, _CELLS), np.int64)
    width = np.zeros((_LEVELS, _CELLS), np.int64)
    if isinstance(distribution, Constant):
        low[:] = distribution.ns
        return low, width
    for level in range(_LEVELS):
        top = float(_CELLS) ** -level
        if distribution.discrete:
            nodes = [top * (1.0 - (cell + 0.5) / _CELLS) for cell in range(_CELLS)]
            low[level] = [_whole(distribution.isf(survival)) for survival in nodes]
            continue
        # An unbounded distribution has no maximum: stop half a smallest step before it.
        nodes = [top * (1.0 - cell / _CELLS) for cell in range(_CELLS)]
        nodes.append(float(_CELLS) ** -_LEVELS / 2.0)
        values = np.array([_whole(distribution.isf(survival)) for survival in nodes], np.int64)
        low[level], width[level] = values[:-1], np.diff(values)
    return low, width


def _whole(value_ns: float) -> int:
    return min(max(round(value_ns), 0), MAX_TIME_NS - 1)


def _mean(low: Integers, width: Integers) -> float:
    """Return the mean of all draws in ns; the mean of a level's top cell is that of the next level."""
    middle = low + width / 2.0
    mean = float(middle[-1].mean())
    for level in reversed(range(_LEVELS - 1)):
        mean = (float(middle[level, :-1].sum()) + mean) / _CELLS
    return mean


def zipf_probabilities(pages: int, skew: float, hot: float = 0.0) -> NDArray[np.float64]:
    """Return the probability of each of `pages` pages, float64 [pages], with a sum of 1.

    The probability is proportional to (i + 1 + hot)**-skew: Zipf's law, with Mandelbrot's shift for a hot set
    of about `hot` pages with about equal probability (B. Mandelbrot, "An informational theory of the
    statistical structure of language", 1953).
    """
    weights = (np.arange(1, pages + 1, dtype=np.float64) + hot) ** -skew
    return weights / weights.sum()


class AliasTable:
    """Draws pages with `zipf_probabilities`; skew 0 is uniform and needs no table."""

    def __init__(self, pages: int, skew: float, hot: float = 0.0) -> None:
        """Build the table: 8 bytes per page, in vectorised steps."""
        self.pages = pages
        self._packed: Raw | None = None
        if skew != 0.0 and pages > 1:
            keep, alias = alias_columns(zipf_probabilities(pages, skew, hot))
            # Threshold and alias share a word, so a draw causes one cache miss instead of two.
            threshold = np.minimum(np.rint(keep * 2.0**32), 2.0**32 - 1.0).astype(np.uint64)
            self._packed = (threshold << np.uint64(32)) | alias.astype(np.uint64)

    def draw(self, raw: Raw) -> Integers:
        """Draw one page in [0, pages) per element of `raw` (uint64 [n]), as int64 [n]."""
        page = ((raw >> np.uint64(32)) * np.uint64(self.pages)) >> np.uint64(32)
        if self._packed is None:
            return page.view(np.int64)
        word = self._packed.take(page.view(np.int64))
        low = np.uint64((1 << 32) - 1)
        return np.where((raw & low) < (word >> np.uint64(32)), page, word & low).view(np.int64)


def alias_columns(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], Integers]:
    """Build an alias table without a loop; return the kept shares (float64 [n]) and aliases (int64 [n]).

    Column i is chosen with probability 1/n and yields i with probability keep[i], else alias[i].
    `probabilities` must sum to 1. Light columns (share below 1/n) are filled from heavy columns, both in
    order. A heavy column that falls below 1/n is filled from the next heavy column. The assignment of heavy
    to light columns follows from cumulative sums (the sweep of Hübschle-Schneider and Sanders, "Parallel
    Weighted Random Sampling", ESA 2019), so a million pages take a fraction of a second.
    """
    n = len(probabilities)
    share = probabilities * n
    light = np.flatnonzero(share < 1.0)
    heavy = np.flatnonzero(share >= 1.0)
    keep = np.ones(n, np.float64)
    alias = np.arange(n, dtype=np.int64)
    if not light.size:
        return keep, alias
    missing = np.cumsum(1.0 - share[light])
    spare = np.cumsum(share[heavy] - 1.0)
    last = heavy.size - 1
    before = np.concatenate(([0.0], missing[:-1]))
    server = np.minimum(np.searchsorted(spare, before, side="right"), last)
    keep[light] = share[light]
    alias[light] = heavy[server]
    # A heavy column keeps what the light column that exhausted it left over; the last one stays full.
    exhausted = np.minimum(np.searchsorted(missing, spare[:-1], side="left"), light.size - 1)
    keep[heavy[:-1]] = np.clip(1.0 + spare[:-1] - missing[exhausted], 0.0, 1.0)
    alias[heavy[:-1]] = heavy[1:]
    return keep, alias
