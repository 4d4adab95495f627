"""What a difference between two designs is, how sure that is, and how small a one could have been seen.

It is estimated on units of the same work: replications, or stretches of one run. Both designs meet the same
requests in each unit, and the same random draws, so that units are paired and only what the designs make of
them differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
POWER = 0.8
# Beyond a factor of e to this, an interval of a ratio says nothing: it is cut there.
_MOST_SPREAD = 50.0


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error over `units` units; None where that cannot be known.

    `unpaired_error` is what the error would be if the units of one side had nothing to do with the other's.
    Intervals are as wide as it takes for `comparisons` of them to hold together (Bonferroni's inequality).
    """

    value: float
    error: float | None = None
    units: int = 1
    unpaired_error: float | None = None
    comparisons: int = 1

    @property
    def half_width(self) -> float | None:
        """Half the width of Student's t interval."""
        if self.error is None:
            return None
        return student_t(_level(self.comparisons), self.units - 1) * self.error

    @property
    def smallest_visible(self) -> float | None:
        """The difference that such an experiment finds with probability POWER.

        The sum of two quantiles times the error (H. S. Bloom, Minimum Detectable Effects, Evaluation Review
        19, 1995).
        """
        return None if self.error is None else _quantiles(self.units, self.comparisons) * self.error

    @property
    def variance_share(self) -> float | None:
        """Variance of the paired difference, as a share of that of an unpaired one."""
        if self.error is None or not self.unpaired_error:
            return None
        return (self.error / self.unpaired_error) ** 2

    def may_be(self, value: float) -> bool:
        """Whether the interval is known and holds `value`."""
        return self.half_width is not None and abs(self.value - value) <= self.half_width

    def is_within(self, margin: float, value: float) -> bool:
        """Whether the interval is known and lies within `value` +- `margin`."""
        return self.half_width is not None and abs(self.value - value) + self.half_width <= margin

    @property
    def factor_interval(self) -> tuple[float, float] | None:
        """Of an estimated ratio: its interval on a logarithmic scale, of which no end is negative.

        The error of the logarithm is the relative one (the delta method). None where the error is not known.
        """
        if self.half_width is None or self.value <= 0:
            return None
        return _factors(self.value, self.half_width / self.value)

    @property
    def exponential_interval(self) -> tuple[float, float] | None:
        """The interval of a ratio whose logarithm this estimates; None if the error is unknown."""
        return None if self.half_width is None else _factors(math.exp(self.value), self.half_width)

    def scaled(self, factor: float, origin: float = 0.0) -> Estimate:
        """The estimate of `factor` times the distance from `origin`."""
        errors = [None if e is None else factor * e for e in (self.error, self.unpaired_error)]
        return Estimate(factor * (self.value - origin), errors[0], self.units, errors[1], self.comparisons)


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """Estimate sum(above) / sum(below) over paired units, which need not be equally large.

    The error is the ratio estimator's, linearised: the units' residuals above - ratio * below are taken for
    independent and their mean for normal (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, 2.11). Fewer
    than two units give none. Raises ValueError if the sum below is not positive.
    """
    units, whole = len(below), math.fsum(below)
    if whole <= 0:
        raise ValueError(f"wanted a positive sum to divide by, found {whole}")
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
    """Estimate the mean of what `values` were drawn from; fewer than two give no error."""
    found = paired_ratio(values, [1.0] * len(values))
    return Estimate(found.value, found.error, len(values))


def units_to_see(deviation: float, difference: float, comparisons: int = 1) -> int:
    """How many units find a true `difference` with probability POWER; `deviation` is that of one unit.

    `comparisons` are made together.
    Raises ValueError for a difference that is not positive.
    """
    if difference <= 0:
        raise ValueError(f"wanted a positive difference to see, found {difference}")
    # Student's t has its narrowest tails at the most degrees of freedom: fewer units than these cannot do.
    units = max(2, math.floor((_quantiles(1 << 30, comparisons) * deviation / difference) ** 2))
    while _quantiles(units, comparisons) * deviation / math.sqrt(units) > difference:
        units += 1
    return units


def _factors(middle: float, spread: float) -> tuple[float, float]:
    """Return the ends of an interval that is symmetric on a logarithmic scale, at most _MOST_SPREAD wide."""
    spread = min(spread, _MOST_SPREAD)
    return middle * math.exp(-spread), middle * math.exp(spread)


def _squares(values: Sequence[float]) -> float:
    """Sum of squared distances from the mean."""
    middle = math.fsum(values) / len(values)
    return math.fsum((value - middle) ** 2 for value in values)


def _level(comparisons: int) -> float:
    """Probability of the quantile that a two-sided interval of one of so many comparisons wants."""
    return 1 - (1 - CONFIDENCE) / (2 * comparisons)


def _quantiles(units: int, comparisons: int) -> float:
    """In standard errors, the difference that is found with probability POWER."""
    return student_t(_level(comparisons), units - 1) + student_t(POWER, units - 1)


def student_t(probability: float, freedom: int) -> float:
    """Quantile of Student's t distribution with so many degrees of freedom."""
    from scipy.special import stdtrit  # noqa: PLC0415 - a third of a second that most commands need not pay

    return float(stdtrit(freedom, probability))
