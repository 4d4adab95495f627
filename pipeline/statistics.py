"""Estimates of differences between two designs, with confidence intervals and detectable differences.

Estimates are based on units of the same work: replications, or stretches of one run. In each unit both
designs get the same requests and the same random draws, so the units are paired.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
POWER = 0.8
# Intervals of ratios are cut at a factor of e to the power of this, beyond which they are meaningless.
_MOST_SPREAD = 50.0


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error over `units` units; the error is None if it is unknown.

    `unpaired_error` is the error for independent units. `comparisons` is the number of intervals that must
    hold simultaneously (Bonferroni's inequality).
    """

    value: float
    error: float | None = None
    units: int = 1
    unpaired_error: float | None = None
    comparisons: int = 1

    @property
    def half_width(self) -> float | None:
        """Half the width of Student's t interval; None if the error is unknown."""
        if self.error is None:
            return None
        return student_t(_level(self.comparisons), self.units - 1) * self.error

    @property
    def smallest_visible(self) -> float | None:
        """The minimum detectable difference: the experiment finds it with probability POWER.

        It is the sum of two quantiles times the error (H. S. Bloom, Minimum Detectable Effects, Evaluation
        Review 19, 1995).
        """
        return None if self.error is None else _quantiles(self.units, self.comparisons) * self.error

    @property
    def variance_share(self) -> float | None:
        """Variance of the paired difference as a fraction of the variance of the unpaired one."""
        if self.error is None or not self.unpaired_error:
            return None
        return (self.error / self.unpaired_error) ** 2

    def may_be(self, value: float) -> bool:
        """Return whether the interval is known and contains `value`."""
        return self.half_width is not None and abs(self.value - value) <= self.half_width

    def is_within(self, margin: float, value: float) -> bool:
        """Return whether the interval is known and lies within `value` ± `margin`."""
        return self.half_width is not None and abs(self.value - value) + self.half_width <= margin

    @property
    def factor_interval(self) -> tuple[float, float] | None:
        """The interval of an estimated ratio, symmetric on a logarithmic scale, so its ends are positive.

        The error of the logarithm is the relative error (delta method). None if the error is unknown.
        """
        if self.half_width is None or self.value <= 0:
            return None
        return _factors(self.value, self.half_width / self.value)

    @property
    def exponential_interval(self) -> tuple[float, float] | None:
        """The interval of a ratio, if this estimates its logarithm; None if the error is unknown."""
        return None if self.half_width is None else _factors(math.exp(self.value), self.half_width)

    def scaled(self, factor: float, origin: float = 0.0) -> Estimate:
        """Return the estimate of `factor` times the distance from `origin`."""
        errors = [None if e is None else factor * e for e in (self.error, self.unpaired_error)]
        return Estimate(factor * (self.value - origin), errors[0], self.units, errors[1], self.comparisons)


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """Estimate sum(above) / sum(below) over paired units, which need not be equally large.

    The error is that of the linearised ratio estimator. It assumes independent residuals above - ratio *
    below with a normal mean (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, 2.11). Fewer than two units
    give no error. Raises ValueError if the sum below is not positive.
    """
    units, whole = len(below), math.fsum(below)
    if whole <= 0:
        raise ValueError(f"expected a positive sum to divide by, found {whole}")
    ratio = math.fsum(above) / whole
    if units < 2:
        return Estimate(ratio)

    def error(squares: float) -> float:
        return math.sqrt(squares * units / (units - 1)) / whole

    residuals = [a - ratio * b for a, b in zip(above, below, strict=True)]
    apart = _squares(above) + ratio**2 * _squares(below)
    return Estimate(ratio, error(math.fsum(r * r for r in residuals)), units, error(apart))


def mean_log_ratio(above: Sequence[float], below: Sequence[float]) -> Estimate | None:
    """Estimate the mean of ln(above / below) over paired units.

    Its exponential is the geometric mean of the ratios, and `exponential_interval` the interval of that.
    Fewer than two units give no error. None if a value is not positive.
    """
    if min(*above, *below) <= 0:
        return None
    return paired_difference([math.log(value) for value in above], [math.log(value) for value in below])


def paired_difference(these: Sequence[float], those: Sequence[float]) -> Estimate:
    """Estimate the mean of these - those over paired units; fewer than two give no error."""
    found = mean([a - b for a, b in zip(these, those, strict=True)])
    units = found.units
    apart = math.sqrt((_squares(these) + _squares(those)) / (units * max(units - 1, 1)))
    return Estimate(found.value, found.error, units, apart)


def mean(values: Sequence[float]) -> Estimate:
    """Estimate the mean of the population of `values`; fewer than two give no error."""
    found = paired_ratio(values, [1.0] * len(values))
    return Estimate(found.value, found.error, len(values))


def units_to_see(deviation: float, difference: float, comparisons: int = 1) -> int:
    """Return the number of units that find a true `difference` with probability POWER.

    `deviation` is the standard deviation of one unit, and `comparisons` the number of simultaneous
    comparisons. Raises ValueError for a difference that is not positive.
    """
    if difference <= 0:
        raise ValueError(f"expected a positive difference, found {difference}")
    # A lower bound: Student's t has its smallest quantiles for infinitely many degrees of freedom.
    units = max(2, math.floor((_quantiles(1 << 30, comparisons) * deviation / difference) ** 2))
    while _quantiles(units, comparisons) * deviation / math.sqrt(units) > difference:
        units += 1
    return units


def _factors(middle: float, spread: float) -> tuple[float, float]:
    """Return the ends of an interval that is symmetric on a logarithmic scale, at most _MOST_SPREAD wide."""
    spread = min(spread, _MOST_SPREAD)
    return middle * math.exp(-spread), middle * math.exp(spread)


def _squares(values: Sequence[float]) -> float:
    """Return the sum of squared deviations from the mean."""
    middle = math.fsum(values) / len(values)
    return math.fsum((value - middle) ** 2 for value in values)


def _level(comparisons: int) -> float:
    """Return the probability of the quantile for a two-sided interval of one of `comparisons`."""
    return 1 - (1 - CONFIDENCE) / (2 * comparisons)


def _quantiles(units: int, comparisons: int) -> float:
    """Return the difference found with probability POWER, in standard errors."""
    return student_t(_level(comparisons), units - 1) + student_t(POWER, units - 1)


def student_t(probability: float, freedom: int) -> float:
    """Return a quantile of Student's t distribution with `freedom` degrees of freedom."""
    from scipy.special import stdtrit  # noqa: PLC0415 - a third of a second that most commands need not pay

    return float(stdtrit(freedom, probability))
