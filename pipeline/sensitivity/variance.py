"""Sobol' indices: the share of a result's variance due to each cost.

SciPy estimates them after A. Saltelli and others, Variance based sensitivity analysis of model output,
Computer Physics Communications 181, 2010, on Sobol' points: matrices A and B, and A with each column of B in
turn. A row should have the same random draws in all matrices, so chance is not part of the indices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.statistics import CONFIDENCE

FEWEST = 8
_RESAMPLES = 400


@dataclass(frozen=True)
class Share:
    """A share of the variance with a bootstrap interval over the rows. Estimates may lie outside 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Index:
    """Shares of the variance: removed by fixing a factor (`first`), and involving the factor (`total`)."""

    first: Share
    total: Share


def make_design(factors: int, rows: int, seed: int) -> np.ndarray:
    """Return points in the unit cube, of shape (factors + 2, rows, factors): A, B, A with each column of B.

    Raises ValueError unless `rows` is a power of two.
    """
    if rows < 1 or rows & (rows - 1):
        raise ValueError(f"the number of rows must be a power of two, found {rows}")
    from scipy.stats import qmc  # noqa: PLC0415 - half a second that other commands need not pay

    sample = qmc.Sobol(2 * factors, rng=np.random.default_rng(seed)).random(rows)
    a, b = sample[:, :factors], sample[:, factors:]
    design = np.stack([a, b, *[a] * factors])
    for factor in range(factors):
        design[factor + 2, :, factor] = b[:, factor]
    return design


def find_indices(results: np.ndarray) -> list[Index]:
    """Return the indices of each factor, from results of shape (factors + 2, rows) at the points of a design.

    Rows with a result that is not finite are dropped, and more rows to leave a power of two. The result is
    empty if fewer than `FEWEST` rows remain or the results have no variance.
    """
    results = results[:, np.isfinite(results).all(axis=0)]
    rows = 1 << (results.shape[1].bit_length() - 1) if results.shape[1] else 0
    results = results[:, :rows]
    if rows < FEWEST or np.ptp(results[:2]) == 0:
        return []
    rng = np.random.default_rng(0)
    found = _estimate(results)
    # The resampling is seeded here, as SciPy's own bootstrap gives different intervals each time.
    again = [results[:, rng.integers(rows, size=rows)] for _ in range(_RESAMPLES)]
    resampled = np.array([_estimate(some) for some in again if np.ptp(some[:2]) > 0])
    tail = 100 * (1 - CONFIDENCE) / 2
    lows, highs = np.percentile(resampled, [tail, 100 - tail], axis=0)
    return [
        Index(*(Share(*map(float, (found[k, i], lows[k, i], highs[k, i]))) for k in range(2)))
        for i in range(len(results) - 2)
    ]


def _estimate(results: np.ndarray) -> np.ndarray:
    """Return first and total indices, of shape (2, factors)."""
    from scipy.stats import sobol_indices  # noqa: PLC0415 - as above

    # SciPy requires two factors; the added one has no effect.
    mixed = np.concatenate([results[2:], results[:1]])
    func = {"f_A": results[0][None], "f_B": results[1][None], "f_AB": mixed[:, None]}
    found = sobol_indices(func=func, n=results.shape[1])
    return np.stack([found.first_order, found.total_order])[:, :-1]
