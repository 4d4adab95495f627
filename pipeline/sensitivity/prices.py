"""Costs as coordinates in their ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.machine.profile_ranges import PriceRange

Given = tuple[tuple[str, int], ...]
"""Costs that replace the machine's, sorted by name."""


class Prices:
    """Costs that vary, each in its range on a logarithmic scale from 0 (low) to 1 (high)."""

    def __init__(self, ranges: Mapping[str, PriceRange]) -> None:
        self.ranges = dict(ranges)

    @property
    def names(self) -> list[str]:
        """Names of the costs in the order of coordinates."""
        return list(self.ranges)

    def at(self, place: np.ndarray, names: Sequence[str] | None = None) -> Given:
        """Return the integer costs at a point of the unit cube of all costs, or of the named ones."""
        found = {
            name: round(found.low * (found.high / found.low) ** float(u))
            for name, u in zip(names or self.names, place, strict=True)
            for found in [self.ranges[name]]
        }
        return self.given(found)

    def given(self, prices: Mapping[str, int]) -> Given:
        """Return the costs that differ from the machine's."""
        return tuple(sorted((n, value) for n, value in prices.items() if value != self.ranges[n].value))
