"""One comparison of a run with theory, and how near the two have to be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Chance alone goes beyond four standard errors once in 15,000 comparisons.
STANDARD_ERRORS = 4
# A comparison whose tolerance is wider than this says nothing and does not hold, whatever was simulated.
WIDEST_TOLERANCE_PERCENT = 5
_BATCHES = 40


@dataclass(frozen=True)
class Check:
    """What theory predicts of a run and what the run gave.

    `name` is the experiment, `what` the quantity with its parameters, `case` the run if there are several of
    one kind. `predicted`, `simulated`, `standard_error` and `tolerance` are in `unit`; the standard error is
    None where nothing is left to chance. With `at_most`, `predicted` is an upper bound.
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
        """A check of a mean that was found with a standard error, within what chance alone does."""
        mean, error = found
        tolerance = statistical_tolerance(predicted, error)
        return cls(
            name, what, predicted, mean, unit, standard_error=error, tolerance=tolerance, at_most=at_most
        )

    @property
    def error(self) -> float:
        """How much more was simulated than predicted."""
        return self.simulated - self.predicted

    @property
    def error_percent(self) -> float:
        """The error in per cent of the prediction."""
        if self.error == 0:
            return 0.0
        return 100 * self.error / self.predicted if self.predicted else math.inf

    @property
    def by_chance(self) -> bool:
        """Whether the error is chance alone, with no approximation in the prediction."""
        if not self.standard_error or self.at_most:
            return False
        return self.tolerance == statistical_tolerance(self.predicted, self.standard_error)

    @property
    def holds(self) -> bool:
        """Whether the run agrees with theory, by a comparison that could have failed."""
        if not math.isfinite(self.predicted) or not math.isfinite(self.simulated):
            return False
        if self.tolerance > WIDEST_TOLERANCE_PERCENT / 100 * abs(self.predicted):
            return False
        return (self.error if self.at_most else abs(self.error)) <= self.tolerance


def mean_and_error(values: np.ndarray, batches: int = _BATCHES) -> tuple[float, float]:
    """Mean and its standard error, from the means of batches long enough to be nearly independent.

    Method of batch means: R. Jain, The Art of Computer Systems Performance Analysis (1991), section 25.5.2.
    """
    whole = len(values) // batches * batches
    means = values[:whole].reshape(batches, -1).mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / batches**0.5)


def statistical_tolerance(predicted: float, standard_error: float) -> float:
    """Four standard errors; or 1e-9 of the prediction, where the run has no chance in it."""
    return max(STANDARD_ERRORS * standard_error, 1e-9 * abs(predicted))
