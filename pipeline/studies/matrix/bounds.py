"""Where a design falls outside the bounds, and what the same runs say about why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.studies.matrix.grid import FEWEST_FLUSHES, LOWER, UPPER
from pipeline.studies.point import Point

TOLERANCE = 0.01
"""Throughput that far beyond a bound counts as equal to it: a single task that ends later does as much."""

Side = Literal["faster", "slower", "fewer flushes", "more flushes"]
BEYOND: dict[Side, str] = {
    "faster": f"faster than {LOWER}",
    "slower": f"slower than {UPPER}",
    "fewer flushes": f"fewer flushes than {FEWEST_FLUSHES}",
    "more flushes": f"more flushes than {UPPER}",
}
MARK: dict[Side, str] = {"faster": "▲", "slower": "▼", "fewer flushes": "▲", "more flushes": "▼"}

# What explains that an allocator is beyond a bound of throughput, where its operations take no less or more.
_OTHER_ORDER: dict[Side, str] = {
    "faster": "tasks only end in a luckier order",
    "slower": "tasks wait otherwise than for a CPU",
}


@dataclass(frozen=True)
class Breach:
    """One design on the wrong side of a bound in one setting."""

    setting: str
    allocator: str
    side: Side
    by: str
    why: str
    explained: bool
    """Whether `why` leaves the bound as it is; if not, the bound, the model or the design is wrong."""

    def __str__(self) -> str:
        return f"{self.by} ({self.setting})"


def find_sides(point: Point, column: Mapping[str, Point]) -> list[Side]:
    """Bounds that a design is outside of, among all designs of one setting."""
    slowest, fewest = column[UPPER], column[FEWEST_FLUSHES]
    tests: list[tuple[Side, bool]] = [
        ("faster", point.share > 1.0 + TOLERANCE),
        ("slower", point.share < slowest.share * (1.0 - TOLERANCE)),
        ("fewer flushes", point.allocator != LOWER and point.totals.flushes < fewest.totals.flushes),
        ("more flushes", point.totals.flushes > slowest.totals.flushes),
    ]
    return [side for side, outside in tests if outside]


def find_breaches(setting: str, column: Mapping[str, Point]) -> list[Breach]:
    """Every design of one setting that is outside a bound."""
    return [
        Breach(setting, point.allocator, side, _by(side, point, column), *_why(side, point, column))
        for point in column.values()
        for side in find_sides(point, column)
    ]


def _by(side: Side, point: Point, column: Mapping[str, Point]) -> str:
    if side == "faster":
        return f"{point.share:.3f} of {LOWER}'s throughput"
    if side == "slower":
        return f"{point.share:.4f} of {LOWER}'s throughput, {UPPER} {column[UPPER].share:.4f}"
    bound = column[FEWEST_FLUSHES if side == "fewer flushes" else UPPER]
    return f"{point.totals.flushes:,} against {bound.totals.flushes:,}"


def _why(side: Side, point: Point, column: Mapping[str, Point]) -> tuple[str, bool]:
    if side not in _OTHER_ORDER:
        return _why_flushes(side, point, column[FEWEST_FLUSHES])
    bound = column[LOWER if side == "faster" else UPPER]
    dearer_us = point.dearer_us - bound.dearer_us
    compared = "less" if dearer_us < 0 else "more"
    words = f"an operation takes {abs(dearer_us):.2f} us {compared} CPU time than with {bound.allocator}"
    if dearer_us < 0 if side == "faster" else dearer_us > 0:
        return words, False
    return (
        f"{words}, and CPUs idle {point.idle_percent:.1f} % of the time against {bound.idle_percent:.1f} %: "
        f"{_OTHER_ORDER[side]}",
        True,
    )


def _why_flushes(side: Side, point: Point, pool: Point) -> tuple[str, bool]:
    """Why a design flushes otherwise than the bound of pools that flush every TLB allows."""
    totals = point.totals
    if side == "more flushes":
        return f"{totals.misses:,} misses", False
    if not totals.flushes:
        return "it never flushes every TLB, and so is none of the pools that the bound is for", True
    if point.cpus > 1 and totals.ipis < totals.flushes * (point.cpus - 1):
        return "it flushes some CPUs only, and so is none of the pools that the bound is for", True
    if point.address_space_pages > pool.address_space_pages:
        return f"it has {point.address_space_pages:,} slots and not {pool.address_space_pages:,}", True
    if totals.sleeps or totals.operations == pool.totals.operations:
        return "the bound is for a given order of maps, and here tasks wait elsewhere: another order", True
    return "unexplained", False
