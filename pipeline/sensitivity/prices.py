"""Prices by their place in their ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.machine.profile_ranges import PriceRange

Given = tuple[tuple[str, int], ...]
"""Prices in place of the machine's own, sorted by name."""


class Prices:
    """Prices that vary, each in its range on a logarithmic scale: 0 is its low end, 1 its high one."""

    def __init__(self, ranges: Mapping[str, PriceRange]) -> None:
        self.ranges = dict(ranges)

    @property
    def names(self) -> list[str]:
        """Names in the order of coordinates."""
        return list(self.ranges)

    def at(self, place: np.ndarray, names: Sequence[str] | None = None) -> Given:
        """Whole numbers at a place in the unit cube of all prices, or of those named."""
        found = {
            name: round(found.low * (found.high / found.low) ** float(u))
            for name, u in zip(names or self.names, place, strict=True)
            for found in [self.ranges[name]]
        }
        return self.given(found)

    def given(self, prices: Mapping[str, int]) -> Given:
        """The same prices, without those that are the machine's own."""
        return tuple(sorted((n, value) for n, value in prices.items() if value != self.ranges[n].value))
