"""Fit a distribution of a spec to observed times.

The first form that fits is used: a constant, a few values, an exponential, a lognormal, or a mixture of an
exponential and a lognormal distribution. If none fits, the result is linear interpolation between quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.schema.trace import MAX_TIME_NS
from pipeline.workload.distributions import (
    Constant,
    Empirical,
    Exponential,
    Lognormal,
    Mixture,
    Quantiles,
    TimeDistribution,
)
from pipeline.workload.sampling_tables import QuantileTable

_FEW_VALUES = 8
_SAMPLE = 50_000
_ROUNDS = 200
# A form fits if its Kolmogorov distance is at most _DISTANCE, plus the critical value for the sample size at
# the 5 % level (_CHANCE), and its mean differs by at most the fraction _MEAN.
_DISTANCE = 0.01
_MEAN = 0.03
_CHANCE = 1.36
_TAIL = (0.01, 0.005, 0.002, 0.001, 0.000_5, 0.000_1, 0.000_01)
_MIDDLE = tuple(step / 40 for step in range(1, 40))


@dataclass(frozen=True)
class FittedTime:
    """A distribution, and its Kolmogorov distance from the observed times (0 to 1)."""

    distribution: TimeDistribution
    distance: float


def fit_time(times_ns: np.ndarray) -> FittedTime:
    """Fit a distribution to times in ns (int64 [n], n >= 1), each at least 0."""
    values, counts = np.unique(times_ns, return_counts=True)
    if len(values) == 1:
        return FittedTime(Constant(dist="constant", ns=int(values[0])), 0.0)
    if len(values) <= _FEW_VALUES and counts.min() > 1:
        listed = Empirical(
            dist="empirical", values_ns=[int(value) for value in values], weights=[float(c) for c in counts]
        )
        return FittedTime(listed, 0.0)
    ordered = np.sort(times_ns).astype(np.float64)
    allowed = _DISTANCE + _CHANCE / math.sqrt(len(ordered))
    forms: tuple[Callable[[np.ndarray], TimeDistribution], ...] = (_exponential, _lognormal, _mixture)
    for form in forms:
        found = form(ordered)
        distance, mean_ns = _distance(ordered, found)
        # Near 0, a difference of 1 ns is a large fraction of the mean.
        if distance <= allowed and abs(mean_ns - ordered.mean()) <= max(_MEAN * ordered.mean(), 1.0):
            return FittedTime(found, distance)
    lines = _quantiles(ordered)
    return FittedTime(lines, _distance(ordered, lines)[0])


def _exponential(ordered: np.ndarray) -> TimeDistribution:
    return Exponential(dist="exponential", mean_ns=_whole(ordered.mean()))


def _lognormal(ordered: np.ndarray) -> TimeDistribution:
    logs = np.log(np.maximum(ordered, 0.5))
    return _of_logs(logs.mean(), logs.std())


def _of_logs(mean: float, deviation: float) -> Lognormal:
    return Lognormal(
        dist="lognormal", median_ns=_whole(math.exp(mean)), sigma=round(min(float(deviation), 5.0), 4)
    )


def _mixture(ordered: np.ndarray) -> TimeDistribution:
    """Fit a mixture of an exponential for short times and a lognormal for long ones, by the EM algorithm."""
    times = np.maximum(_thin(ordered), 0.5)
    logs = np.log(times)
    share, mean = 0.5, float(times[: len(times) // 2].mean())
    upper = logs[len(logs) // 2 :]
    centre, deviation = float(upper.mean()), max(float(upper.std()), 0.1)
    for _ in range(_ROUNDS):
        short = share * np.exp(-times / mean) / mean
        long = (1.0 - share) * np.exp(-(((logs - centre) / deviation) ** 2) / 2.0)
        long /= times * deviation * math.sqrt(2.0 * math.pi)
        is_short = short / np.maximum(short + long, 1e-300)
        before = share
        share = float(np.clip(is_short.mean(), 1e-4, 1.0 - 1e-4))
        mean = max(float(np.average(times, weights=is_short + 1e-300)), 1.0)
        centre = float(np.average(logs, weights=1.0 - is_short + 1e-300))
        spread = np.average((logs - centre) ** 2, weights=1.0 - is_short + 1e-300)
        deviation = max(math.sqrt(float(spread)), 0.01)
        if abs(share - before) < 1e-7:
            break
    return Mixture(
        dist="mixture", share=round(share, 4), first=Exponential(dist="exponential", mean_ns=_whole(mean)),
        rest=_of_logs(centre, deviation),
    )  # fmt: skip


def _quantiles(ordered: np.ndarray) -> TimeDistribution:
    """Return quantiles with a finer resolution in the tail, as far as the sample size allows."""
    tail = [1.0 - share for share in _TAIL if share * len(ordered) >= 2.0]
    probabilities = [0.0, *_MIDDLE, *tail, 1.0]
    points = [
        (probability, _whole(value, 0))
        for probability, value in zip(probabilities, np.quantile(ordered, probabilities), strict=True)
    ]
    return Quantiles(dist="quantiles", points=points)


def _distance(ordered: np.ndarray, distribution: TimeDistribution) -> tuple[float, float]:
    """Return the Kolmogorov distance of sorted times from a distribution, and that one's mean in ns."""
    sample = _thin(ordered)
    # As many draws of the distribution, evenly spaced in probability.
    middles = (np.arange(len(sample)) + 0.5) / len(sample)
    table = QuantileTable([distribution])
    drawn = np.sort(table.draw((middles * 2.0**64).astype(np.uint64)))
    every = np.unique(np.concatenate([sample, drawn]))
    apart = np.searchsorted(sample, every, "right") - np.searchsorted(drawn, every, "right")
    return float(np.abs(apart).max()) / len(sample), float(table.means_ns[0])


def _thin(ordered: np.ndarray) -> np.ndarray:
    """Return at most _SAMPLE of the sorted values, evenly spaced."""
    if len(ordered) <= _SAMPLE:
        return ordered
    return ordered[(np.arange(_SAMPLE) + 0.5).astype(np.int64) * len(ordered) // _SAMPLE]


def _whole(value: float, least: int = 1) -> int:
    return min(max(round(float(value)), least), MAX_TIME_NS - 1)
