"""Which price decides how much of a result's variance: Sobol' indices.

Estimated by SciPy after A. Saltelli and others, Variance based sensitivity analysis of model output, Computer
Physics Communications 181, 2010, on a design of Sobol' points: matrices A and B, and A with each column of B
in turn. A row is to meet the same chance in all of them, which then is no part of any index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.statistics import CONFIDENCE

FEWEST = 8
_RESAMPLES = 400


@dataclass(frozen=True)
class Share:
    """A share of the variance with its interval, by a bootstrap of the rows; an estimate may leave 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Index:
    """How much of the variance goes when a factor is known (`first`), and how much needs it (`total`)."""

    first: Share
    total: Share


def make_design(factors: int, rows: int, seed: int) -> np.ndarray:
    """Points in the unit cube, of shape (factors + 2, rows, factors): A, B, and A with each column of B.

    Raises ValueError unless `rows` is a power of two.
    """
    if rows < 1 or rows & (rows - 1):
        raise ValueError(f"wanted a power of two as the number of rows, found {rows}")
    from scipy.stats import qmc  # noqa: PLC0415 - half a second that other commands need not pay

    sample = qmc.Sobol(2 * factors, rng=np.random.default_rng(seed)).random(rows)
    a, b = sample[:, :factors], sample[:, factors:]
    design = np.stack([a, b, *[a] * factors])
    for factor in range(factors):
        design[factor + 2, :, factor] = b[:, factor]
    return design


def find_indices(results: np.ndarray) -> list[Index]:
    """Indices of each factor, from results of shape (factors + 2, rows) at the points of a design.

    Rows with a result that is not finite are left out, and as many more as leave a power of two. Empty where
    there is nothing to share out: fewer than `FEWEST` rows, or results that are all the same.
    """
    results = results[:, np.isfinite(results).all(axis=0)]
    rows = 1 << (results.shape[1].bit_length() - 1) if results.shape[1] else 0
    results = results[:, :rows]
    if rows < FEWEST or np.ptp(results[:2]) == 0:
        return []
    rng = np.random.default_rng(0)
    found = _estimate(results)
    # Resamples are drawn here: SciPy's own bootstrap gives other intervals each time.
    again = [results[:, rng.integers(rows, size=rows)] for _ in range(_RESAMPLES)]
    resampled = np.array([_estimate(some) for some in again if np.ptp(some[:2]) > 0])
    tail = 100 * (1 - CONFIDENCE) / 2
    lows, highs = np.percentile(resampled, [tail, 100 - tail], axis=0)
    return [
        Index(*(Share(*map(float, (found[k, i], lows[k, i], highs[k, i]))) for k in range(2)))
        for i in range(len(results) - 2)
    ]


def _estimate(results: np.ndarray) -> np.ndarray:
    """First and total indices, of shape (2, factors)."""
    from scipy.stats import sobol_indices  # noqa: PLC0415 - as above

    # SciPy wants two factors; the one that is added changes nothing.
    mixed = np.concatenate([results[2:], results[:1]])
    func = {"f_A": results[0][None], "f_B": results[1][None], "f_AB": mixed[:, None]}
    found = sobol_indices(func=func, n=results.shape[1])
    return np.stack([found.first_order, found.total_order])[:, :-1]
