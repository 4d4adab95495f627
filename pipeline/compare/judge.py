"""Verdicts on paired runs: better, the same within a margin, worse, or undecided.

Everything is judged on the logarithm of the ratio B / A of each pair. If a value of a metric is zero, its
plain differences B - A are judged instead.

The sign-flip test decides whether there is a difference. Under the null hypothesis each pair's difference has
either sign with equal probability. The p-value is the fraction of the 2^n assignments of signs whose mean is
at least as extreme as the observed one (R. A. Fisher, The Design of Experiments, 1935, 21). For more than
`EXACT` pairs, the paired t-test replaces it. The p-values of all metrics are adjusted together by Holm's
procedure (S. Holm, A simple sequentially rejective multiple test procedure, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.statistics import CONFIDENCE, Estimate, mean_log_ratio, paired_difference, units_to_see

Verdict = Literal["identical", "same", "better", "worse", "undecided"]

EXACT = 16
"""The largest number of pairs for which all assignments of signs are tried."""
LEVEL = 1 - CONFIDENCE


@dataclass(frozen=True)
class Judgement:
    """How one metric of B compares with A's."""

    a: float
    """Mean of A over the pairs."""
    b: float
    """Mean of B over the pairs."""
    log_ratio: Estimate | None
    """Mean of ln(B / A) over the pairs; None if a value is zero."""
    difference: Estimate
    """Mean of B - A over the pairs."""
    pairs: int
    p_value: float | None
    """p-value of the sign-flip test; None if no pair differs, or for a single pair."""
    t_p_value: float | None
    """p-value of the paired t-test; None in the same cases."""
    verdict: Verdict
    wanted: int | None = None
    """If undecided: about how many pairs would decide."""

    @property
    def ratio(self) -> float | None:
        """Geometric mean of B / A over the pairs; 0 if all of B is zero, None for other zeros."""
        if self.log_ratio is not None:
            return math.exp(self.log_ratio.value)
        return 0.0 if self.b == 0 < self.a else None

    @property
    def ratio_interval(self) -> tuple[float, float] | None:
        """Student's t interval of the ratio, on a logarithmic scale; None if it is unknown."""
        return None if self.log_ratio is None else self.log_ratio.exponential_interval


@dataclass(frozen=True)
class Pairs:
    """Values of one metric in each pair, and whether larger values are better."""

    a: Sequence[float]
    b: Sequence[float]
    more_is_better: bool
    identical: bool = False
    """Whether the runs of every pair have equal fingerprints."""


def sign_flip_p_value(differences: Sequence[float]) -> float | None:
    """Two-sided p-value of the mean of paired differences; None for fewer than two, or if all are zero."""
    values = np.asarray(differences, float)
    if len(values) < 2 or not values.any():
        return None
    if len(values) > EXACT:
        return t_p_value(differences)
    # The other half of the assignments has all signs flipped and gives the same absolute sums.
    flips = np.arange(1 << (len(values) - 1))
    signs = 1 - 2 * ((flips[:, None] >> np.arange(len(values))) & 1)
    sums = np.abs(signs @ values)
    return float(np.mean(sums >= abs(values.sum()) * (1 - 1e-12)))


def t_p_value(differences: Sequence[float]) -> float | None:
    """Two-sided p-value of the paired t-test; None for fewer than two differences, or if all are zero."""
    values = np.asarray(differences, float)
    if len(values) < 2 or not values.any():
        return None
    error = values.std(ddof=1) / math.sqrt(len(values))
    if error == 0:
        return 0.0
    from scipy.special import stdtr  # noqa: PLC0415 - a third of a second that most commands need not pay

    return float(2 * stdtr(len(values) - 1, -abs(values.mean()) / error))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p-values of hypotheses that are judged together; None stays None and does not count."""
    adjusted: list[float | None] = [None] * len(p_values)
    known = sorted((p, at) for at, p in enumerate(p_values) if p is not None)
    least = 0.0
    for rank, (p, at) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        adjusted[at] = least
    return adjusted


def least_pairs(metrics: int) -> int:
    """Return the fewest pairs with which the sign-flip test can find a difference in one of `metrics`."""
    pairs = 1
    while 2.0 ** (1 - pairs) * metrics > LEVEL:
        pairs += 1
    return pairs


def judge(metrics: Sequence[Pairs], margin: float) -> list[Judgement]:
    """Judge metrics of the same pairs together.

    Both sides are the same if the interval of the ratio lies within 1 / (1 + margin) and 1 + margin.
    """
    differences = [_differences(pairs) for pairs in metrics]
    exact = [None if p.identical else sign_flip_p_value(d) for p, d in zip(metrics, differences, strict=True)]
    judged = holm(exact)
    family = sum(p is not None for p in exact)
    return [
        _judge(pairs, margin, p, adjusted, t_p_value(found), max(family, 1))
        for pairs, p, adjusted, found in zip(metrics, exact, judged, differences, strict=True)
    ]


def _differences(pairs: Pairs) -> list[float]:
    """Return ln(B / A) of each pair, or B - A of each pair if a value is zero."""
    both = list(zip(pairs.a, pairs.b, strict=True))
    if all(a > 0 and b > 0 for a, b in both):
        return [math.log(b / a) for a, b in both]
    return [b - a for a, b in both]


def _judge(
    pairs: Pairs, margin: float, p: float | None, adjusted: float | None, t: float | None, family: int
) -> Judgement:
    a, b = (math.fsum(side) / len(side) for side in (pairs.a, pairs.b))
    log_ratio = mean_log_ratio(pairs.b, pairs.a)
    difference = paired_difference(pairs.b, pairs.a)
    count = len(pairs.a)
    # The estimate that the verdict is about, and how far from zero both sides are still the same.
    judged, most = (difference, margin * a) if log_ratio is None else (log_ratio, math.log1p(margin))

    def judgement(verdict: Verdict, wanted: int | None = None) -> Judgement:
        return Judgement(a, b, log_ratio, difference, count, p, t, verdict, wanted)

    if pairs.identical:
        return judgement("identical")
    # A single run of each side that agrees may be chance, unless nothing happened in either.
    if all(x == y for x, y in zip(pairs.a, pairs.b, strict=True)) and (count > 1 or a == b == 0):
        return judgement("same")
    if judged.is_within(most, 0.0):
        return judgement("same")
    if adjusted is not None and adjusted <= LEVEL:
        return judgement("better" if (judged.value > 0) == pairs.more_is_better else "worse")
    return judgement("undecided", _wanted(judged, most, family))


def _wanted(judged: Estimate, most: float, family: int) -> int:
    """Return about how many pairs show that the difference is as estimated, or within the margin."""
    least = least_pairs(family)
    if judged.error is None:
        return max(least, 2)
    # "Same" requires an interval that ends before the margin, a difference one that ends before 0.
    distance = max(abs(judged.value), abs(most - abs(judged.value)))
    deviation = judged.error * math.sqrt(judged.units)
    return max(least, units_to_see(deviation, distance)) if deviation > 0 and distance > 0 else least
