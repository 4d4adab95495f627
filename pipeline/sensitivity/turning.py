"""Where the order of two designs turns as one price changes: the break-even, by bisection on a log scale.

A search is a generator that asks for values of the price and is sent the sign of what one design is ahead at
each. So searches along many prices, for many pairs, go on side by side and share their runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

REACH = 100
"""A price is varied by so large a factor each way, within the limits that costs have."""
_COARSE = 10
_PARTS = 4
SHARP = 1.06
"""A break-even between two values of this ratio is as good as found."""
_VAGUE = 1.25
"""The same of the edge beyond which the order cannot be told."""

Signs = Mapping[int, int]
Search = Generator[list[int], Signs, "Outcome"]
SignsOf = Callable[[Mapping[int, list[int]]], Mapping[int, Signs]]
"""Signs at the values that searches ask for, by number of the search; of some of them, the rest next time."""


@dataclass(frozen=True)
class Turn:
    """Where the order changes on one side of the profile's value.

    Up to `held` the order is as at the profile's value. From `turned` on it is another; `ahead` is its sign.
    It cannot be told at what was looked at between them. Where it is never another one, `turned` is None, and
    it cannot be told from beyond `held` to `until`.
    """

    side: Literal["above", "below"]
    held: int
    turned: int | None
    ahead: int
    until: int

    @property
    def value(self) -> float | None:
        """The break-even, if it is known as well as `SHARP` says."""
        if self.turned is None or max(self.turned, self.held) > SHARP * min(self.turned, self.held) + 1:
            return None
        return math.sqrt(self.held * self.turned)


@dataclass(frozen=True)
class Outcome:
    """What a search found between `low` and `high`; `ahead` is the sign at the profile's value."""

    low: int
    high: int
    ahead: int
    turns: tuple[Turn, ...]


def search_turns(value: int, least: int, most: int) -> Search:
    """Look for break-evens around a price's `value`, within its limits `least` and `most`.

    Asks for lists of values and wants the sign at each: 1, -1, or 0 where it cannot be told. Between the
    values looked at first (factors of ten) an order that turns and turns back is not seen.
    """
    factors = (1 / REACH, 1 / _COARSE, 1, _COARSE, REACH)
    first = sorted({min(max(round(value * factor), least), most) for factor in factors})
    signs = dict((yield first))
    while asked := sorted(set(_cuts(signs, value))):
        signs |= yield asked
    turns = tuple(turn for side in ("above", "below") if (turn := _turn(signs, value, side)) is not None)
    return Outcome(first[0], first[-1], signs[value], turns)


def _outwards(signs: Signs, value: int, side: str) -> list[int]:
    """Values from the profile's own to the end of one side."""
    some = sorted(x for x in signs if (x >= value if side == "above" else x <= value))
    return some if side == "above" else some[::-1]


def _cuts(signs: Signs, value: int) -> Iterator[int]:
    """Values between the last with one sign and the first with the next, where these are far apart."""
    for side in ("above", "below"):
        path = _outwards(signs, value, side)
        changes = [(a, b) for a, b in pairwise(path) if signs[a] != signs[b]]
        # The first change, and the next where the first leads to what cannot be told.
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
    """Carry out searches side by side; `signs_of` is asked for the values of all that still look."""
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
