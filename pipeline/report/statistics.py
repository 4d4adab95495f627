"""Confidence intervals for what two runs differ in, measured on the same units of work.

Units are seeds, or stretches of one run. Both runs meet the same requests in each unit, and the same random
draws, so that units are paired and only what the designs make of them differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value and half the width of its confidence interval, None where that cannot be known."""

    value: float
    half_width: float | None

    def may_be(self, value: float) -> bool:
        """Whether the interval is known and holds `value`."""
        return self.half_width is not None and abs(self.value - value) <= self.half_width


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """Estimate sum(above) / sum(below) over paired units, which need not be equally large.

    The interval is the ratio estimator's, linearised: the units' residuals above - ratio * below are taken
    for independent and their mean for normal (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, 2.11). Fewer
    than two units give no interval. Raises ValueError if the sum below is not positive.
    """
    units, whole = len(below), math.fsum(below)
    if whole <= 0:
        raise ValueError(f"wanted a positive sum to divide by, found {whole}")
    ratio = math.fsum(above) / whole
    if units < 2:
        return Estimate(ratio, None)
    squares = math.fsum((a - ratio * b) ** 2 for a, b in zip(above, below, strict=True))
    error = math.sqrt(squares * units / (units - 1)) / whole
    return Estimate(ratio, t_quantile((1 + CONFIDENCE) / 2, units - 1) * error)


def paired_difference(these: Sequence[float], those: Sequence[float]) -> Estimate:
    """Estimate the mean of these - those over paired units, with Student's t interval."""
    return mean([a - b for a, b in zip(these, those, strict=True)])


def mean(values: Sequence[float]) -> Estimate:
    """Estimate the mean of what `values` were drawn from; fewer than two give no interval."""
    return paired_ratio(values, [1.0] * len(values))


def t_quantile(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t with a whole number of degrees of freedom, by bisection.

    `probability` lies in (0, 1), `freedom` is >= 1; otherwise ValueError.
    """
    if not 0 < probability < 1 or freedom < 1:
        raise ValueError(f"wanted 0 < probability < 1 and freedom >= 1, found {probability} and {freedom}")
    if probability < 0.5:
        return -t_quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while t_probability(high, freedom) < probability:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_probability(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def t_probability(t: float, freedom: int) -> float:
    """Return the probability that Student's t is at most `t`, in closed form for a whole `freedom`.

    Source: M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2 == 1
    term, total = (cosine, 0.0) if odd else (1.0, 1.0)
    if odd:
        for k in range(1, freedom - 1, 2):
            total += term
            term *= cosine * cosine * (k + 1) / (k + 2)
        within = 2 / math.pi * (angle + sine * total)
    else:
        for k in range(1, freedom - 2, 2):
            term *= cosine * cosine * k / (k + 1)
            total += term
        within = sine * total
    return 0.5 + within / 2
