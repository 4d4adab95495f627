"""Break-evens of pairs of designs for each cost, with all other costs at the profile's values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipeline.machine.costs import COST_KINDS
from pipeline.sensitivity.deciding import LOOKS, decide
from pipeline.sensitivity.prices import Prices
from pipeline.sensitivity.trials import Measure, Trial, Values
from pipeline.sensitivity.turning import REACH, Outcome, Signs, run_searches, search_turns

PHASE = "break-evens"
Ahead = Callable[[Sequence[Values], int], np.ndarray]
"""Returns the advantage of the first design of a pair, given by number, in each of some trials."""


def limits(cost: str) -> tuple[int, int]:
    """Return the smallest and largest value tried for a cost."""
    return max(COST_KINDS[cost].minimum, 1), COST_KINDS[cost].maximum


def reach(cost: str, value: int) -> tuple[int, int]:
    """Return the range in which a break-even is searched."""
    least, most = limits(cost)
    return max(round(value / REACH), least), min(value * REACH, most)


def ends(prices: Prices, costs: Sequence[str]) -> dict[str, list[Trial]]:
    """Return trials at both ends of the range of each cost."""
    return {
        cost: [Trial(prices.given({cost: end}), 0) for end in reach(cost, prices.ranges[cost].value)]
        for cost in costs
    }


def find_idle(known: Mapping[Trial, Values], prices: Prices, costs: Sequence[str]) -> list[str]:
    """Return the costs that change nothing in one replication, even at the ends of their ranges."""
    own = known[Trial((), 0)]
    return [
        cost
        for cost, some in ends(prices, costs).items()
        if all(np.array_equal(known[trial], own, equal_nan=True) for trial in some)
    ]


def find_break_evens(
    measure: Measure, ahead: Ahead, pairs: int, prices: Prices, costs: Sequence[str]
) -> list[dict[str, Outcome]]:
    """Return, for each pair, the outcome of a search for each of `costs`."""
    asked = [(pair, cost) for pair in range(pairs) for cost in costs]
    searches = [search_turns(prices.ranges[cost].value, *limits(cost)) for _, cost in asked]
    signs = _Signs(measure, ahead, prices, asked)
    outcomes = dict(zip(asked, run_searches(searches, signs), strict=True))
    return [{cost: outcomes[pair, cost] for cost in costs} for pair in range(pairs)]


class _Signs:
    """Evaluates signs for searches, with enough replications at each value to decide the sign."""

    def __init__(
        self, measure: Measure, ahead: Ahead, prices: Prices, asked: Sequence[tuple[int, str]]
    ) -> None:
        self._measure, self._ahead, self._prices, self._asked = measure, ahead, prices, asked
        self._looked: dict[tuple[int, int], int] = {}

    def __call__(self, values: Mapping[int, list[int]]) -> dict[int, Signs]:
        """Return signs for the searches with all values decided; others get more replications."""
        trials = {
            (search, value): self._trials(search, value) for search, some in values.items() for value in some
        }
        known = self._measure(PHASE, [trial for of in trials.values() for trial in of])
        signs: dict[int, dict[int, int]] = {search: {} for search in values}
        for (search, value), of in trials.items():
            sign = decide(list(self._ahead([known[trial] for trial in of], self._asked[search][0])))
            if sign is None:
                self._looked[search, value] = self._looked.get((search, value), 0) + 1
            else:
                signs[search][value] = sign
        return {search: found for search, found in signs.items() if len(found) == len(values[search])}

    def _trials(self, search: int, value: int) -> list[Trial]:
        given = self._prices.given({self._asked[search][1]: value})
        return [Trial(given, number) for number in range(LOOKS[self._looked.get((search, value), 0)])]
