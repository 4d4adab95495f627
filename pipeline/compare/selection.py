"""Selecting the best of several candidates by racing: candidates that cannot be the best are dropped.

This is procedure KN of S.-H. Kim and B. L. Nelson, A fully sequential procedure for indifference-zone
selection in simulation, ACM TOMACS 11 (2001), 251-273, with c = 1, for candidates with common random numbers
(paired replications). If the best is better than every other by at least `indifference`, it is selected with
a probability of at least 1 - `error`. Among closer candidates, any may be selected. The differences between
replications must be approximately normal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Race:
    """A race in progress: `values[i]` has one value of candidate i for each of its replications.

    Larger is better. Start with the first replications of all candidates, then add replications of the
    remaining candidates until one is left. Raises ValueError for fewer than two candidates or fewer than two
    first replications.
    """

    values: list[list[float]]
    indifference: float
    error: float = 0.05
    left: list[int] = field(init=False)
    _spread: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        counts = {len(values) for values in self.values}
        if len(self.values) < 2 or len(counts) != 1 or counts.pop() < 2:
            raise ValueError("expected at least two candidates, with at least two first replications each")
        if self.indifference <= 0:
            raise ValueError(f"expected a positive indifference zone, found {self.indifference}")
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
        """Whether a single candidate is left."""
        return len(self.left) == 1

    @property
    def replications(self) -> int:
        """Number of replications of the remaining candidates."""
        return len(self.values[self.left[0]])

    @property
    def most_replications(self) -> int:
        """Number of replications after which only one candidate can be left."""
        spread = self._spread[np.ix_(self.left, self.left)].max()
        return max(math.floor(spread / self.indifference**2) + 1, self.replications)

    def add(self, values: dict[int, Sequence[float]]) -> None:
        """Add one or more replications of every remaining candidate, and drop those that have lost."""
        if set(values) != set(self.left) or len({len(some) for some in values.values()}) != 1:
            raise ValueError(
                f"expected equally many values of candidates {self.left}, found {sorted(values)}"
            )
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
        # After enough replications, every difference decides.
        if r >= self.most_replications:
            kept = [max(self.left, key=lambda i: (means[i], -i))]
        self.left = kept

    def _slack(self, i: int, j: int, r: int) -> float:
        """Return how far candidate i may be behind candidate j without being dropped."""
        if i == j:
            return 0.0
        delta = self.indifference
        return max(0.0, delta / (2 * r) * (self._spread[i, j] / delta**2 - r))
