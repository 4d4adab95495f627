"""Distributions of times in workload specs, each defined by its inverse survival function.

In a spec, a distribution is an inline table with the key `dist`, for example
`think = { dist = "exponential", mean_ns = 260_000 }`. Every time is a whole number of ns, at least 0 and
below 2**46 (19.5 hours, the limit of the trace format). Larger draws are reduced to that limit.

`isf(survival)` takes P(X > x) in [0, 1] and returns x in ns. 1 gives the smallest value. Small arguments give
the tail with full precision, which a quantile function near 1 cannot do.
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
    """Whether only the listed values are drawn, and no values between them."""


def _require_order(distribution: _Distribution, low: str, high: str) -> None:
    least, most = getattr(distribution, low), getattr(distribution, high)
    if least > most:
        raise ValueError(f"{low} ({least}) is greater than {high} ({most}); swap them")


class Constant(_Distribution):
    """A constant: `{ dist = "constant", ns = 500 }`."""

    discrete: ClassVar[bool] = True
    dist: Literal["constant"]
    ns: Nanoseconds

    def isf(self, survival: float) -> float:
        """Return the constant."""
        return float(self.ns)


class Exponential(_Distribution):
    """The exponential distribution: `{ dist = "exponential", mean_ns = 20_000 }`."""

    dist: Literal["exponential"]
    mean_ns: PositiveNanoseconds

    def isf(self, survival: float) -> float:
        """Return -mean ln(survival)."""
        return -self.mean_ns * math.log(survival) if survival > 0.0 else _LONGEST_NS


class Uniform(_Distribution):
    """The uniform distribution: `{ dist = "uniform", low_ns = 1_000, high_ns = 3_000 }`."""

    dist: Literal["uniform"]
    low_ns: Nanoseconds
    high_ns: Nanoseconds

    @model_validator(mode="after")
    def _in_order(self) -> Uniform:
        _require_order(self, "low_ns", "high_ns")
        return self

    def isf(self, survival: float) -> float:
        """Return high - survival * (high - low)."""
        return self.high_ns - survival * (self.high_ns - self.low_ns)


class Lognormal(_Distribution):
    """exp(N(ln median, sigma)): `{ dist = "lognormal", median_ns = 15_000, sigma = 0.5 }`.

    `mean_ns` can replace `median_ns`; the mean is median * exp(sigma**2 / 2). With sigma 1, the largest of a
    million draws is about 116 times the median.
    """

    dist: Literal["lognormal"]
    median_ns: PositiveNanoseconds | None = None
    mean_ns: PositiveNanoseconds | None = None
    sigma: Annotated[float, Field(ge=0.0, le=5.0)]

    @model_validator(mode="after")
    def _one_size(self) -> Lognormal:
        if (self.median_ns is None) == (self.mean_ns is None):
            found = "neither" if self.median_ns is None else "both"
            raise ValueError(f"exactly one of median_ns and mean_ns is required, found {found}")
        return self

    @cached_property
    def _median(self) -> float:
        if self.mean_ns is None:
            return float(self.median_ns or 0)
        return self.mean_ns * math.exp(-(self.sigma**2) / 2)

    def isf(self, survival: float) -> float:
        """Return median * exp(sigma z), with P(Z > z) = survival for a standard normal Z."""
        if survival >= 1.0:
            return 0.0 if self.sigma else self._median
        if survival <= 0.0:
            return _LONGEST_NS if self.sigma else self._median
        return self._median * math.exp(-self.sigma * _NORMAL.inv_cdf(survival))


class Pareto(_Distribution):
    """The bounded Pareto distribution, with a power-law tail.

    `{ dist = "pareto", minimum_ns = 1_000, alpha = 1.5, maximum_ns = 1_000_000 }`. The density is
    proportional to x**(-alpha-1) between minimum and maximum.
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
    """Listed values with weights.

    `{ dist = "empirical", values_ns = [300, 9_000], weights = [9, 1] }`. Weights are relative. Probabilities
    have a resolution of 1/4096, and a finer one for the largest values. A less probable value is kept only
    if it is among the largest.
    """

    discrete: ClassVar[bool] = True
    dist: Literal["empirical"]
    values_ns: Annotated[list[Nanoseconds], Field(min_length=1, max_length=4096)]
    weights: Annotated[list[Annotated[float, Field(ge=0.0)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _fit(self) -> Empirical:
        if len(self.values_ns) != len(self.weights):
            raise ValueError(
                f"values_ns has {len(self.values_ns)} entries and weights has {len(self.weights)}; give one "
                "weight for each value"
            )
        if sum(self.weights) <= 0.0:
            raise ValueError("all weights are 0; at least one weight must be greater than 0")
        return self

    def isf(self, survival: float) -> float:
        """Return the largest listed value x with P(X >= x) > survival."""
        values, reached = self._from_the_top
        return values[min(bisect_right(reached, survival), len(values) - 1)]

    @cached_property
    def _from_the_top(self) -> tuple[list[float], list[float]]:
        """Return the values in descending order, and P(X >= value) of each."""
        pairs = sorted(zip(self.values_ns, self.weights, strict=True), reverse=True)
        pairs = [(value, weight) for value, weight in pairs if weight > 0.0]
        total = sum(weight for _, weight in pairs)
        reached = accumulate(weight / total for _, weight in pairs)
        return [float(value) for value, _ in pairs], list(reached)


# TOML has arrays instead of tuples, so an array of two is accepted.
_Point = Annotated[tuple[Probability, Nanoseconds], Field(strict=False)]


class Quantiles(_Distribution):
    """Linear interpolation between measured quantiles.

    `{ dist = "quantiles", points = [[0.0, 200], [0.5, 900], [1.0, 71_000]] }`. Each point is
    [probability, ns]. Probabilities increase from 0.0 to 1.0, and times must not decrease.
    """

    dist: Literal["quantiles"]
    points: Annotated[list[_Point], Field(min_length=2, max_length=256)]

    @model_validator(mode="after")
    def _rise(self) -> Quantiles:
        if self.points[0][0] != 0.0 or self.points[-1][0] != 1.0:
            raise ValueError("the first point must be at probability 0.0 and the last at 1.0")
        for (low, low_ns), (high, high_ns) in pairwise(self.points):
            if high <= low or high_ns < low_ns:
                raise ValueError(
                    f"point [{high}, {high_ns}] does not increase from [{low}, {low_ns}]; probabilities must "
                    "increase and times must not decrease"
                )
        return self

    def isf(self, survival: float) -> float:
        """Return the time at probability 1 - survival, interpolated between the neighbouring points."""
        for (low, low_ns), (high, high_ns) in pairwise(self.points[::-1]):
            if survival <= 1.0 - high:
                return low_ns + (high_ns - low_ns) * (survival - 1.0 + low) / (low - high)
        return float(self.points[0][1])


_Simple = Constant | Exponential | Uniform | Lognormal | Pareto | Empirical | Quantiles
_OneDistribution = Annotated[_Simple, Field(discriminator="dist")]


class Mixture(_Distribution):
    """A mixture of two distributions.

    `{ dist = "mixture", share = 0.6, first = { dist = "exponential", mean_ns = 2_000 }, rest = { ... } }`.
    Use the distribution with the shorter times as `first`: only the tail of `rest` has full precision.
    """

    dist: Literal["mixture"]
    share: Probability
    """Fraction of the draws that come from `first`."""
    first: _OneDistribution
    rest: _OneDistribution

    def isf(self, survival: float) -> float:
        """Return a value of `rest` for a survival of up to 1 - share, and of `first` above that."""
        above = 1.0 - self.share
        if survival > above:
            return self.first.isf((survival - above) / self.share)
        return self.rest.isf(survival / above) if above else self.first.isf(0.0)


TimeDistribution = Annotated[_Simple | Mixture, Field(discriminator="dist")]
NOTHING = Constant(dist="constant", ns=0)
