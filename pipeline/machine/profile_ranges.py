"""The range of a cost: the range that its source states, or one by rule.

A profile states `low`, `high` and `range_source` of a cost if there is evidence for a range. The range of
every other cost is a factor of `FACTOR` each way, whether it was measured once, fitted or assumed, because
none of these sources gives its error. A cost of 0 has no range by a factor. A value that is neither a time
nor a percentage (a number of slots, whether TLB maintenance is broadcast) is a property of the machine and
not a cost.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.machine.costs import CostKind

FACTOR = 2
_PRICED_IN = ("ns", "%")


@dataclass(frozen=True)
class PriceRange:
    """The inclusive range of one cost, `low` to `high` in its unit; `stated` if the profile states it."""

    cost: str
    unit: str
    value: int
    low: int
    high: int
    stated: bool
    source: str

    def describe(self) -> str:
        """Describe the range and its source."""
        return f"{self.low:,} to {self.high:,} {self.unit}, {self.source}"


def range_of(
    kind: CostKind, value: int, stated: tuple[int, int, str] | None = None, assumed: bool = False
) -> PriceRange | None:
    """Return the range of a cost of this value, or None; `stated` are low, high and their source."""
    if stated is not None:
        low, high, source = stated
        return PriceRange(kind.name, kind.unit, value, low, high, True, source)
    if explain_lack(kind, value):
        return None
    each_way = f"a factor of {FACTOR} each way"
    low, high = max(round(value / FACTOR), kind.minimum, 1), min(value * FACTOR, kind.maximum)
    source = f"assumed: {each_way}" if assumed else f"{each_way}: its source states no range"
    return PriceRange(kind.name, kind.unit, value, low, high, False, source)


def explain_lack(kind: CostKind, value: int) -> str:
    """Say why a cost has no range by rule; "" if it has one."""
    if kind.unit not in _PRICED_IN:
        return "a property of the machine, not a cost"
    return "0 stays 0 by any factor" if value == 0 else ""


def explain_bad_range(kind: CostKind, value: int, low: int | None, high: int | None, source: str) -> str:
    """Say what is wrong with a range that a profile states; "" if it is right."""
    if low is None and high is None and not source:
        return ""
    if low is None or high is None or not source:
        absent = [
            name for name, it in (("low", low), ("high", high), ("range_source", source)) if it in (None, "")
        ]
        return f"a range expects low, high and range_source, found no {' and no '.join(absent)}"
    if kind.unit not in _PRICED_IN:
        return f"is {explain_lack(kind, value)}, and has no range; remove low, high and range_source"
    least = max(kind.minimum, 1)
    if not least <= low <= value <= high <= kind.maximum:
        return (
            f"a range expects {least:,} <= low <= value <= high <= {kind.maximum:,} {kind.unit}, found low "
            f"{low:,}, value {value:,}, high {high:,}"
        )
    return ""
