"""Arithmetic with intervals, for example of printed figures with their rounding."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Interval:
    """All numbers from `low` to `high`, which are not negative."""

    low: float
    high: float

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Interval) -> Interval:
        """Differences; negative ones count as 0."""
        return Interval(max(self.low - other.high, 0.0), max(self.high - other.low, 0.0))

    def __mul__(self, factor: float | Interval) -> Interval:
        other = factor if isinstance(factor, Interval) else Interval(factor, factor)
        return Interval(self.low * other.low, self.high * other.high)

    def __truediv__(self, divisor: float | Interval) -> Interval:
        """Quotients; infinite if the divisor may be 0."""
        other = divisor if isinstance(divisor, Interval) else Interval(divisor, divisor)
        return Interval(
            self.low / other.high if other.high else 0.0, self.high / other.low if other.low else inf
        )

    def meet(self, other: Interval | None) -> Interval | None:
        """The intersection, or None if it is empty; an `other` of None is unbounded."""
        if other is None:
            return self
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else None

    def nearest(self, value: float) -> float:
        """The number in the interval that is nearest to `value`."""
        return min(max(value, self.low), self.high)
