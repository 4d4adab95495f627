"""Screening for important costs by Morris' elementary effects.

Sources: M. D. Morris, Factorial sampling plans for preliminary computational experiments, Technometrics 33,
1991. The mean of absolute effects is from F. Campolongo, J. Cariboni and A. Saltelli, An effective screening
design for sensitivity analysis of large models, Environmental Modelling & Software 22, 2007.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = 4
STEP = LEVELS / (2 * (LEVELS - 1))
"""Step of a factor, as a fraction of its range."""


@dataclass(frozen=True)
class Effect:
    """The effect of a factor on a result across its range, at random values of the other factors.

    `absolute` is the mean absolute effect (Morris' mu*), `mean` the mean effect and `deviation` the standard
    deviation over trajectories. The deviation is large relative to `absolute` if the effect depends on other
    factors or on chance.
    """

    absolute: float
    mean: float
    deviation: float


def make_trajectories(factors: int, count: int, seed: int) -> np.ndarray:
    """Return points in the unit cube, of shape (count, factors + 1, factors).

    Along a trajectory each factor moves once, up or down by STEP, in a random order.
    """
    rng = np.random.default_rng(seed)
    levels = np.arange(LEVELS) / (LEVELS - 1)
    points = np.empty((count, factors + 1, factors))
    for trajectory in points:
        trajectory[0] = rng.choice(levels, factors)
        for at, factor in enumerate(rng.permutation(factors), start=1):
            trajectory[at] = trajectory[at - 1]
            trajectory[at, factor] += STEP if trajectory[at, factor] < 0.5 else -STEP
    return points


def screen(points: np.ndarray, results: np.ndarray) -> list[Effect | None]:
    """Return each factor's effects on `results`, of shape (count, factors + 1), at points of trajectories.

    Steps with a result that is not finite are ignored; a factor without a remaining step has None.
    """
    moved = np.diff(points, axis=1)
    factors = np.abs(moved).argmax(axis=2)
    by = np.take_along_axis(moved, factors[..., None], axis=2)[..., 0]
    changes = np.diff(results, axis=1) / by
    return [
        _summarize(of[np.isfinite(of)])
        for of in (changes[factors == factor] for factor in range(points.shape[2]))
    ]


def _summarize(changes: np.ndarray) -> Effect | None:
    if not len(changes):
        return None
    deviation = float(changes.std(ddof=1)) if len(changes) > 1 else 0.0
    return Effect(float(np.abs(changes).mean()), float(changes.mean()), deviation)
