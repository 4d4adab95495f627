"""How far a price may be from its value: the range that a source gives, or one by rule.

A profile states `low`, `high` and `range_source` of a cost where there is evidence for a range. Of every
other price the range is a factor of `FACTOR` each way, be it measured once, fitted or assumed: none of these
says how far off it may be. A price of 0 stays 0 by any factor, and what is neither a time nor a
percentage (a number of slots, whether TLB maintenance is broadcast) is a property of the machine, no price.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.machine.costs import CostKind

FACTOR = 2
_PRICED_IN = ("ns", "%")


@dataclass(frozen=True)
class PriceRange:
    """The range of one price, `low` to `high` in its unit, both included; `stated` if the profile has it."""

    cost: str
    unit: str
    value: int
    low: int
    high: int
    stated: bool
    source: str

    def describe(self) -> str:
        """The range with where it comes from."""
        return f"{self.low:,} to {self.high:,} {self.unit}, {self.source}"


def range_of(
    kind: CostKind, value: int, stated: tuple[int, int, str] | None = None, assumed: bool = False
) -> PriceRange | None:
    """The range of a cost of this value; `stated` are low, high and their source. None where it has none."""
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
    """Why a cost has no range by rule; "" if it has one."""
    if kind.unit not in _PRICED_IN:
        return "a property of the machine, no price"
    return "0 stays 0 by any factor" if value == 0 else ""


def explain_bad_range(kind: CostKind, value: int, low: int | None, high: int | None, source: str) -> str:
    """What is wrong with a range that a profile states; "" if nothing is."""
    if low is None and high is None and not source:
        return ""
    if low is None or high is None or not source:
        absent = [
            name for name, it in (("low", low), ("high", high), ("range_source", source)) if it in (None, "")
        ]
        return f"a range wants low, high and range_source, found no {' and no '.join(absent)}"
    if kind.unit not in _PRICED_IN:
        return f"is {explain_lack(kind, value)}, and has no range; leave out low, high and range_source"
    least = max(kind.minimum, 1)
    if not least <= low <= value <= high <= kind.maximum:
        return (
            f"a range wants {least:,} <= low <= value <= high <= {kind.maximum:,} {kind.unit}, found low "
            f"{low:,}, value {value:,}, high {high:,}"
        )
    return ""
