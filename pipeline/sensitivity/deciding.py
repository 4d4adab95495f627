"""Deciding which of two designs is ahead: at one point with few replications, and over draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.compare.judge import t_p_value
from pipeline.statistics import CONFIDENCE, Estimate, mean

LOOKS = (4, 16)
"""Numbers of replications at which the mean is tested; the error is divided equally among the tests."""


def advantages(a: Sequence[float], b: Sequence[float], more_is_better: bool) -> np.ndarray:
    """Return the advantage of A over B for each pair of values of a metric; positive if A is better.

    It is the logarithm of the ratio, or the plain difference if a value is zero. NaN stays NaN.
    """
    these, those = np.asarray(a, float), np.asarray(b, float)
    sign = 1.0 if more_is_better else -1.0
    if is_ratio(a, b):
        return sign * np.log(these / those)
    return sign * (these - those)


def is_ratio(a: Sequence[float], b: Sequence[float]) -> bool:
    """Return whether no value is zero, so that ratios are defined."""
    values = np.concatenate([np.asarray(a, float), np.asarray(b, float)])
    return bool((values[np.isfinite(values)] > 0).all())


def decide(ahead: Sequence[float]) -> int | None:
    """Return the sign of the mean advantage of one design over its replications.

    It is 1 or -1 if a t-test at one of LOOKS decides it, 0 if the last test does not or a replication has no
    result, and None if more replications are needed.
    """
    values = np.asarray(ahead, float)
    if not np.isfinite(values).all():
        return 0
    p_value = t_p_value(list(values))
    if p_value is not None and p_value <= (1 - CONFIDENCE) / len(LOOKS):
        return 1 if values.mean() > 0 else -1
    # Replications that agree exactly are not due to chance.
    return None if len(values) < LOOKS[-1] and values.any() else 0


@dataclass(frozen=True)
class Share:
    """The number of draws in which a design was ahead, with the exact interval of Clopper and Pearson, 1934.

    `unknown` draws had no result on one side and are not part of `draws`.
    """

    ahead: int
    equal: int
    draws: int
    unknown: int
    low: float
    high: float


def count_draws(ahead: np.ndarray) -> Share:
    """Count the draws in which a design was ahead."""
    known = ahead[np.isfinite(ahead)]
    wins, draws = int((known > 0).sum()), len(known)
    low, high = 0.0, 1.0
    if draws:
        from scipy.stats import binomtest  # noqa: PLC0415 - half a second that other commands need not pay

        low, high = binomtest(wins, draws).proportion_ci(CONFIDENCE, method="exact")
    equal, unknown = int((known == 0).sum()), int((~np.isfinite(ahead)).sum())
    return Share(wins, equal, draws, unknown, float(low), float(high))


def ratio_at(ahead: Sequence[float]) -> Estimate:
    """Return the mean advantage of one design, in the unit of `advantages`."""
    return mean([value for value in ahead if math.isfinite(value)] or [0.0])
