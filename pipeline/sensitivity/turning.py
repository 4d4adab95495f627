"""Searching for break-evens, where the order of two designs changes with a cost, by bisection on a log scale.

A search is a generator that yields values of the cost and is sent the sign of a design's advantage at each.
Searches for many costs and pairs therefore run concurrently and share runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

REACH = 100
"""Factor by which a cost is varied each way, within the limits of costs."""
_COARSE = 10
_PARTS = 4
SHARP = 1.06
"""A break-even is found if it is between two values of at most this ratio."""
_VAGUE = 1.25
"""The same ratio for the edge beyond which the order is undecided."""

Signs = Mapping[int, int]
Search = Generator[list[int], Signs, "Outcome"]
SignsOf = Callable[[Mapping[int, list[int]]], Mapping[int, Signs]]
"""Returns signs at the values of searches, by number of the search; possibly for some searches only."""


@dataclass(frozen=True)
class Turn:
    """A change of the order on one side of the profile's value.

    Up to `held` the order is that of the profile's value. From `turned` on it is different, with sign
    `ahead`. At values tried in between it is undecided. If the order never becomes different, `turned` is
    None, and the order is undecided from beyond `held` to `until`.
    """

    side: Literal["above", "below"]
    held: int
    turned: int | None
    ahead: int
    until: int

    @property
    def value(self) -> float | None:
        """The break-even, if it is known to within the ratio `SHARP`."""
        if self.turned is None or max(self.turned, self.held) > SHARP * min(self.turned, self.held) + 1:
            return None
        return math.sqrt(self.held * self.turned)


@dataclass(frozen=True)
class Outcome:
    """The result of a search between `low` and `high`; `ahead` is the sign at the profile's value."""

    low: int
    high: int
    ahead: int
    turns: tuple[Turn, ...]


def search_turns(value: int, least: int, most: int) -> Search:
    """Search for break-evens around a cost's `value`, within its limits `least` and `most`.

    Yields lists of values and is sent the sign at each: 1, -1, or 0 if undecided. If the order changes and
    changes back between two of the first values, which are factors of ten apart, the search misses it.
    """
    factors = (1 / REACH, 1 / _COARSE, 1, _COARSE, REACH)
    first = sorted({min(max(round(value * factor), least), most) for factor in factors})
    signs = dict((yield first))
    while asked := sorted(set(_cuts(signs, value))):
        signs |= yield asked
    turns = tuple(turn for side in ("above", "below") if (turn := _turn(signs, value, side)) is not None)
    return Outcome(first[0], first[-1], signs[value], turns)


def _outwards(signs: Signs, value: int, side: str) -> list[int]:
    """Return values from the profile's to the end of one side."""
    some = sorted(x for x in signs if (x >= value if side == "above" else x <= value))
    return some if side == "above" else some[::-1]


def _cuts(signs: Signs, value: int) -> Iterator[int]:
    """Return values between the last with one sign and the first with the next, if these are far apart."""
    for side in ("above", "below"):
        path = _outwards(signs, value, side)
        changes = [(a, b) for a, b in pairwise(path) if signs[a] != signs[b]]
        # The first change, and the next one if the first leads to undecided values.
        for near, far in changes[: 2 if changes and signs[changes[0][1]] == 0 else 1]:
            low, high = min(near, far), max(near, far)
            enough = SHARP if signs[near] and signs[far] else _VAGUE
            if high > enough * low and high - low > 1:
                cuts = {round(low * (high / low) ** (part / _PARTS)) for part in range(1, _PARTS)}
                yield from cuts - {low, high}


def _turn(signs: Signs, value: int, side: Literal["above", "below"]) -> Turn | None:
    path = _outwards(signs, value, side)
    here = signs[value]
    differing = [x for x in path if signs[x] != here]
    if not differing:
        return None
    first = path.index(differing[0])
    turned = next((x for x in differing if signs[x] != 0), None)
    until = next((a for a, b in pairwise(path[first:]) if signs[b]), path[-1])
    return Turn(side, path[first - 1], turned, 0 if turned is None else signs[turned], until)


def run_searches(searches: Sequence[Search], signs_of: SignsOf) -> list[Outcome]:
    """Run searches concurrently; `signs_of` is called with the values of all active searches."""
    outcomes: dict[int, Outcome] = {}
    asked = {at: next(search) for at, search in enumerate(searches)}
    while asked:
        answers = signs_of(asked)
        following: dict[int, list[int]] = {}
        for at, found in answers.items():
            try:
                following[at] = searches[at].send(found)
            except StopIteration as end:
                outcomes[at] = end.value
        asked = {at: values for at, values in asked.items() if at not in answers} | following
    return [outcomes[at] for at in range(len(searches))]
