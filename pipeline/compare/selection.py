"""Selecting the best of several by racing: who cannot be the best any more is not tried again.

The procedure KN of S.-H. Kim and B. L. Nelson, A fully sequential procedure for indifference-zone selection
in simulation, ACM TOMACS 11 (2001), 251-273, with c = 1, for candidates that meet the same random draws
(paired replications). If the best is better than every other by `indifference` or more, it is selected with a
probability of at least 1 - `error`; of candidates closer than that, any may be. It takes replications whose
differences are about normal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Race:
    """A race under way: `values[i]` has one value of candidate i for each replication that it has run.

    Larger is better. Begin with `first` replications of all; then, until one is left, one more replication of
    those that are left at a time. Raises ValueError for fewer than two candidates or first replications.
    """

    values: list[list[float]]
    indifference: float
    error: float = 0.05
    left: list[int] = field(init=False)
    _spread: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        counts = {len(values) for values in self.values}
        if len(self.values) < 2 or len(counts) != 1 or counts.pop() < 2:
            raise ValueError("wanted two candidates or more, and two first replications or more of each")
        if self.indifference <= 0:
            raise ValueError(f"wanted a positive indifference zone, found {self.indifference}")
        self.left = list(range(len(self.values)))
        table = np.array(self.values)
        first = table.shape[1]
        differences = table[:, None, :] - table[None, :, :]
        self._spread = self._h2(first) * differences.var(axis=2, ddof=1)
        self._drop()

    def _h2(self, first: int) -> float:
        eta = ((2 * self.error / (len(self.values) - 1)) ** (-2 / (first - 1)) - 1) / 2
        return 2 * eta * (first - 1)

    @property
    def decided(self) -> bool:
        """Whether one is left."""
        return len(self.left) == 1

    @property
    def replications(self) -> int:
        """How many those that are left have run."""
        return len(self.values[self.left[0]])

    @property
    def most_replications(self) -> int:
        """After so many, one is left for certain."""
        spread = self._spread[np.ix_(self.left, self.left)].max()
        return max(math.floor(spread / self.indifference**2) + 1, self.replications)

    def add(self, values: dict[int, Sequence[float]]) -> None:
        """Add a replication, or several at once, of every candidate that is left, and drop who has lost."""
        if set(values) != set(self.left) or len({len(some) for some in values.values()}) != 1:
            raise ValueError(f"wanted as many values of candidates {self.left}, found {sorted(values)}")
        count = len(next(iter(values.values())))
        for k in range(count):
            for i in self.left:
                self.values[i].append(float(values[i][k]))
            self._drop()

    def _drop(self) -> None:
        if self.decided:
            return
        r = self.replications
        means = {i: math.fsum(self.values[i][:r]) / r for i in self.left}
        kept = [i for i in self.left if all(means[i] >= means[j] - self._slack(i, j, r) for j in self.left)]
        # After enough replications no difference is too small to tell who is ahead.
        if r >= self.most_replications:
            kept = [max(self.left, key=lambda i: (means[i], -i))]
        self.left = kept

    def _slack(self, i: int, j: int, r: int) -> float:
        """By how much candidate i may be behind candidate j and still be the best."""
        if i == j:
            return 0.0
        delta = self.indifference
        return max(0.0, delta / (2 * r) * (self._spread[i, j] / delta**2 - r))
