"""A comparison of a run with theory, and its tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Chance exceeds four standard errors once in 15,000 comparisons.
STANDARD_ERRORS = 4
# A comparison with a wider tolerance is not meaningful and always fails.
WIDEST_TOLERANCE_PERCENT = 5
_BATCHES = 40


@dataclass(frozen=True)
class Check:
    """A quantity predicted by theory, compared with a run.

    `name` is the experiment, `what` the quantity with its parameters, and `case` the run if there are several
    of a kind. `predicted`, `simulated`, `standard_error` and `tolerance` are in `unit`. The standard error is
    None if the run is free of chance. With `at_most`, `predicted` is an upper bound.
    """

    name: str
    what: str
    predicted: float
    simulated: float
    unit: str = ""
    case: str = ""
    standard_error: float | None = None
    tolerance: float = 0
    at_most: bool = False

    @classmethod
    def of_mean(
        cls,
        name: str,
        what: str,
        unit: str,
        predicted: float,
        found: tuple[float, float],
        at_most: bool = False,
    ) -> Check:
        """Make a check of a mean with a standard error, with a statistical tolerance."""
        mean, error = found
        tolerance = statistical_tolerance(predicted, error)
        return cls(
            name, what, predicted, mean, unit, standard_error=error, tolerance=tolerance, at_most=at_most
        )

    @property
    def error(self) -> float:
        """Simulated minus predicted."""
        return self.simulated - self.predicted

    @property
    def error_percent(self) -> float:
        """The error as a percentage of the prediction."""
        if self.error == 0:
            return 0.0
        return 100 * self.error / self.predicted if self.predicted else math.inf

    @property
    def by_chance(self) -> bool:
        """Whether the error is due to chance only, without an approximation in the prediction."""
        if not self.standard_error or self.at_most:
            return False
        return self.tolerance == statistical_tolerance(self.predicted, self.standard_error)

    @property
    def holds(self) -> bool:
        """Whether the run agrees with theory within a meaningful tolerance."""
        if not math.isfinite(self.predicted) or not math.isfinite(self.simulated):
            return False
        if self.tolerance > WIDEST_TOLERANCE_PERCENT / 100 * abs(self.predicted):
            return False
        return (self.error if self.at_most else abs(self.error)) <= self.tolerance


def mean_and_error(values: np.ndarray, batches: int = _BATCHES) -> tuple[float, float]:
    """Mean and standard error, from batches that are long enough to be nearly independent.

    Method of batch means: R. Jain, The Art of Computer Systems Performance Analysis (1991), section 25.5.2.
    """
    whole = len(values) // batches * batches
    means = values[:whole].reshape(batches, -1).mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / batches**0.5)


def statistical_tolerance(predicted: float, standard_error: float) -> float:
    """Four standard errors, or 1e-9 of the prediction if the run is free of chance."""
    return max(STANDARD_ERRORS * standard_error, 1e-9 * abs(predicted))
