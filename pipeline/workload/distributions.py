"""The distributions of times that a workload spec can name, each by its inverse survival function.

In a spec a distribution is an inline table with the key `dist`, for instance
`think = { dist = "exponential", mean_ns = 260_000 }`. Every time is a whole number of nanoseconds, at least
0 and below 2**46 (19.5 hours, the limit of the trace format); larger draws are cut to that limit.

`isf(survival)` takes P(X > x) in [0, 1] and returns x in nanoseconds: 1 gives the smallest value, and small
arguments give the tail with full precision, which a quantile function near 1 could not.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate, pairwise
from statistics import NormalDist
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.schema.trace import MAX_TIME_NS
from pipeline.workload.strict_model import Nanoseconds, PositiveNanoseconds, Probability, SpecModel

_NORMAL = NormalDist()
_LONGEST_NS = float(MAX_TIME_NS - 1)


class _Distribution(SpecModel):
    discrete: ClassVar[bool] = False
    """Whether only the listed values are drawn and nothing between them."""


def _require_order(distribution: _Distribution, low: str, high: str) -> None:
    least, most = getattr(distribution, low), getattr(distribution, high)
    if least > most:
        raise ValueError(f"{low} ({least}) is above {high} ({most}); swap them")


class Constant(_Distribution):
    """Always the same: `{ dist = "constant", ns = 500 }`."""

    discrete: ClassVar[bool] = True
    dist: Literal["constant"]
    ns: Nanoseconds

    def isf(self, survival: float) -> float:
        """Return the constant."""
        return float(self.ns)


class Exponential(_Distribution):
    """Memoryless, of the given mean: `{ dist = "exponential", mean_ns = 20_000 }`."""

    dist: Literal["exponential"]
    mean_ns: PositiveNanoseconds

    def isf(self, survival: float) -> float:
        """Return -mean ln(survival)."""
        return -self.mean_ns * math.log(survival) if survival > 0.0 else _LONGEST_NS


class Uniform(_Distribution):
    """Evenly between two bounds: `{ dist = "uniform", low_ns = 1_000, high_ns = 3_000 }`."""

    dist: Literal["uniform"]
    low_ns: Nanoseconds
    high_ns: Nanoseconds

    @model_validator(mode="after")
    def _in_order(self) -> Uniform:
        _require_order(self, "low_ns", "high_ns")
        return self

    def isf(self, survival: float) -> float:
        """Return the point `survival` of the way down from high to low."""
        return self.high_ns - survival * (self.high_ns - self.low_ns)


class Lognormal(_Distribution):
    """exp(N(ln median, sigma)): `{ dist = "lognormal", median_ns = 15_000, sigma = 0.5 }`.

    The mean, which can be given in place of the median as `mean_ns`, is median * exp(sigma**2 / 2); sigma 1
    makes the largest in a million about 116 medians.
    """

    dist: Literal["lognormal"]
    median_ns: PositiveNanoseconds | None = None
    mean_ns: PositiveNanoseconds | None = None
    sigma: Annotated[float, Field(ge=0.0, le=5.0)]

    @model_validator(mode="after")
    def _one_size(self) -> Lognormal:
        if (self.median_ns is None) == (self.mean_ns is None):
            found = "neither" if self.median_ns is None else "both"
            raise ValueError(f"wanted either median_ns or mean_ns, found {found}; give one")
        return self

    @cached_property
    def _median(self) -> float:
        if self.mean_ns is None:
            return float(self.median_ns or 0)
        return self.mean_ns * math.exp(-(self.sigma**2) / 2)

    def isf(self, survival: float) -> float:
        """Return median * exp(sigma z) at the standard normal z that is exceeded with `survival`."""
        if survival >= 1.0:
            return 0.0 if self.sigma else self._median
        if survival <= 0.0:
            return _LONGEST_NS if self.sigma else self._median
        return self._median * math.exp(-self.sigma * _NORMAL.inv_cdf(survival))


class Pareto(_Distribution):
    """A power-law tail, cut off.

    `{ dist = "pareto", minimum_ns = 1_000, alpha = 1.5, maximum_ns = 1_000_000 }`. The bounded
    Pareto distribution: density proportional to x**(-alpha-1) between minimum and maximum.
    """

    dist: Literal["pareto"]
    minimum_ns: PositiveNanoseconds
    alpha: Annotated[float, Field(gt=0.0, le=20.0)]
    maximum_ns: PositiveNanoseconds

    @model_validator(mode="after")
    def _in_order(self) -> Pareto:
        _require_order(self, "minimum_ns", "maximum_ns")
        return self

    def isf(self, survival: float) -> float:
        """Return minimum * (s + (1 - s) (minimum / maximum)**alpha)**(-1 / alpha)."""
        floor = (self.minimum_ns / self.maximum_ns) ** self.alpha
        return self.minimum_ns * (survival + (1.0 - survival) * floor) ** (-1.0 / self.alpha)


class Empirical(_Distribution):
    """Listed values, each as often as its weight says.

    `{ dist = "empirical", values_ns = [300, 9_000], weights = [9, 1] }`. Weights are relative.
    Shares are kept to 1/4096, in the largest values more finely: a value rarer than that is kept only if it
    is among the largest, where it matters.
    """

    discrete: ClassVar[bool] = True
    dist: Literal["empirical"]
    values_ns: Annotated[list[Nanoseconds], Field(min_length=1, max_length=4096)]
    weights: Annotated[list[Annotated[float, Field(ge=0.0)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _fit(self) -> Empirical:
        if len(self.values_ns) != len(self.weights):
            raise ValueError(
                f"values_ns has {len(self.values_ns)} entries and weights {len(self.weights)}; give one "
                "weight for each value"
            )
        if sum(self.weights) <= 0.0:
            raise ValueError("all weights are 0; give at least one value a weight above 0")
        return self

    def isf(self, survival: float) -> float:
        """Return the largest listed value that is reached or exceeded with more than `survival`."""
        values, reached = self._from_the_top
        return values[min(bisect_right(reached, survival), len(values) - 1)]

    @cached_property
    def _from_the_top(self) -> tuple[list[float], list[float]]:
        """Values from the largest down, and P(X >= value) of each."""
        pairs = sorted(zip(self.values_ns, self.weights, strict=True), reverse=True)
        pairs = [(value, weight) for value, weight in pairs if weight > 0.0]
        total = sum(weight for _, weight in pairs)
        reached = accumulate(weight / total for _, weight in pairs)
        return [float(value) for value, _ in pairs], list(reached)


# TOML has arrays, not tuples: an array of two is meant
_Point = Annotated[tuple[Probability, Nanoseconds], Field(strict=False)]


class Quantiles(_Distribution):
    """Straight lines between measured quantiles.

    `{ dist = "quantiles", points = [[0.0, 200], [0.5, 900], [1.0, 71_000]] }`. Each point
    is [probability, ns]; probabilities rise from 0.0 to 1.0 and times never fall.
    """

    dist: Literal["quantiles"]
    points: Annotated[list[_Point], Field(min_length=2, max_length=256)]

    @model_validator(mode="after")
    def _rise(self) -> Quantiles:
        if self.points[0][0] != 0.0 or self.points[-1][0] != 1.0:
            raise ValueError("the first point must be at probability 0.0 and the last at 1.0")
        for (low, low_ns), (high, high_ns) in pairwise(self.points):
            if high <= low or high_ns < low_ns:
                raise ValueError(f"point [{high}, {high_ns}] does not rise from [{low}, {low_ns}]")
        return self

    def isf(self, survival: float) -> float:
        """Return the time at probability 1 - `survival` on the line between its two neighbours."""
        for (low, low_ns), (high, high_ns) in pairwise(self.points[::-1]):
            if survival <= 1.0 - high:
                return low_ns + (high_ns - low_ns) * (survival - 1.0 + low) / (low - high)
        return float(self.points[0][1])


_Simple = Constant | Exponential | Uniform | Lognormal | Pareto | Empirical | Quantiles
_OneDistribution = Annotated[_Simple, Field(discriminator="dist")]


class Mixture(_Distribution):
    """Of one distribution with some probability, else of another.

    `{ dist = "mixture", share = 0.6, first = { dist = "exponential", mean_ns = 2_000 }, rest = { ... } }`.
    Put the shorter times first: the largest draws come from `rest`, and only there is the tail kept in full.
    """

    dist: Literal["mixture"]
    share: Probability
    """Share of the draws that come from `first`."""
    first: _OneDistribution
    rest: _OneDistribution

    def isf(self, survival: float) -> float:
        """Return the point of `rest` in the upper part of the probabilities, of `first` in the lower."""
        above = 1.0 - self.share
        if survival > above:
            return self.first.isf((survival - above) / self.share)
        return self.rest.isf(survival / above) if above else self.first.isf(0.0)


TimeDistribution = Annotated[_Simple | Mixture, Field(discriminator="dist")]
NOTHING = Constant(dist="constant", ns=0)
