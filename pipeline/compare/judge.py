"""What paired differences tell: better, the same within a margin, worse, or nothing yet.

The evidence for a difference is the sign-flip test: under "no difference" each pair could as well have come
the other way round, so that the mean's place among all 2^n ways of flipping signs is its p-value, exactly
(R. A. Fisher, The Design of Experiments, 1935, 21). Beyond `EXACT` pairs Student's t stands in for it. All
metrics are judged together by Holm's procedure (S. Holm, A simple sequentially rejective multiple test
procedure, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.statistics import CONFIDENCE, Estimate, paired_difference, paired_ratio, units_to_see

Verdict = Literal["identical", "same", "better", "worse", "undecided"]

EXACT = 16
"""So many pairs at most are flipped in every way there is."""
LEVEL = 1 - CONFIDENCE


@dataclass(frozen=True)
class Judgement:
    """How one metric of B compares with A's."""

    a: float
    b: float
    ratio: Estimate | None
    """B's as a share of A's; None where A's is zero."""
    difference: Estimate
    pairs: int
    p_value: float | None
    """Of the sign-flip test; None where no pair differs, or there is one only."""
    t_p_value: float | None
    """The same of the paired t-test."""
    verdict: Verdict
    wanted: int | None = None
    """If undecided: about how many pairs would decide; None where that cannot be told."""


@dataclass(frozen=True)
class Pairs:
    """Values of one metric in each pair, and which way is better."""

    a: Sequence[float]
    b: Sequence[float]
    more_is_better: bool
    identical: bool = False
    """Whether both sides of every pair did exactly the same."""


def sign_flip_p_value(differences: Sequence[float]) -> float | None:
    """Two-sided p-value of the mean of paired differences; None for fewer than two, or if all are zero."""
    values = np.asarray(differences, float)
    if len(values) < 2 or not values.any():
        return None
    if len(values) > EXACT:
        return t_p_value(differences)
    # Half of the ways: the other half are these with all signs flipped, as extreme the other way.
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
    """Adjusted p-values of hypotheses that are judged together; None stays None and is none of them."""
    adjusted: list[float | None] = [None] * len(p_values)
    known = sorted((p, at) for at, p in enumerate(p_values) if p is not None)
    least = 0.0
    for rank, (p, at) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        adjusted[at] = least
    return adjusted


def least_pairs(metrics: int) -> int:
    """The fewest pairs with which the sign-flip test can find a difference in one of so many metrics."""
    pairs = 1
    while 2.0 ** (1 - pairs) * metrics > LEVEL:
        pairs += 1
    return pairs


def judge(metrics: Sequence[Pairs], margin: float) -> list[Judgement]:
    """Judge metrics of the same pairs together; `margin` is the share within which both are the same."""
    differences = [_differences(pairs) for pairs in metrics]
    exact = [None if p.identical else sign_flip_p_value(d) for p, d in zip(metrics, differences, strict=True)]
    judged = holm(exact)
    family = sum(p is not None for p in exact)
    return [
        _judge(pairs, margin, p, adjusted, t_p_value(found), max(family, 1))
        for pairs, p, adjusted, found in zip(metrics, exact, judged, differences, strict=True)
    ]


def _differences(pairs: Pairs) -> list[float]:
    """Of each pair, the logarithm of the ratio; the plain difference where a value is zero."""
    both = list(zip(pairs.a, pairs.b, strict=True))
    if all(a > 0 and b > 0 for a, b in both):
        return [math.log(b / a) for a, b in both]
    return [b - a for a, b in both]


def _judge(
    pairs: Pairs, margin: float, p: float | None, adjusted: float | None, t: float | None, family: int
) -> Judgement:
    a, b = (math.fsum(side) / len(side) for side in (pairs.a, pairs.b))
    ratio = paired_ratio(pairs.b, pairs.a) if a > 0 else None
    difference = paired_difference(pairs.b, pairs.a)
    count = len(pairs.a)

    def judgement(verdict: Verdict, wanted: int | None = None) -> Judgement:
        return Judgement(a, b, ratio, difference, count, p, t, verdict, wanted)

    if pairs.identical:
        return judgement("identical")
    # Nothing on either side, or the same in several runs; that one run of each agrees may be chance.
    if all(x == y for x, y in zip(pairs.a, pairs.b, strict=True)) and (count > 1 or a == b == 0):
        return judgement("same")
    if ratio is not None and ratio.is_within(margin, 1.0):
        return judgement("same")
    if adjusted is not None and adjusted <= LEVEL:
        return judgement("better" if (b > a) == pairs.more_is_better else "worse")
    return judgement("undecided", _wanted(ratio, margin, family))


def _wanted(ratio: Estimate | None, margin: float, family: int) -> int | None:
    """About how many pairs would tell whether the difference is as it looks, or within the margin."""
    least = least_pairs(family)
    if ratio is None or ratio.error is None:
        return least if ratio is None else max(least, 2)
    # "Same" wants an interval that ends before the margin, a difference one that ends before 1.
    distance = max(abs(ratio.value - 1.0), abs(margin - abs(ratio.value - 1.0)), 1e-6)
    deviation = ratio.error * math.sqrt(ratio.units)
    return max(least, units_to_see(deviation, distance)) if deviation > 0 else least
