"""Designs that lie beyond the bounds, and the reasons according to the figures of the runs.

For a given order of maps and unmaps, clairvoyant has the fewest flushes of all pools that flush every TLB,
and always_flush the most of all pools that flush at most once per miss. The proofs are in their files.
direct_map pays nothing for mapping. Throughput has no bound, and each design replays in an order of its own.
A run beyond a bound is therefore an error only if its figures do not explain it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.studies.matrix.grid import FEWEST_FLUSHES, LOWER, UPPER
from pipeline.studies.point import Point

TOLERANCE = 0.01
"""Throughput this close to a bound counts as equal to it: one task that ends later has the same effect."""

Side = Literal["faster", "slower", "fewer flushes", "more flushes"]
BEYOND: dict[Side, str] = {
    "faster": f"faster than {LOWER}",
    "slower": f"slower than {UPPER}",
    "fewer flushes": f"fewer flushes than {FEWEST_FLUSHES}",
    "more flushes": f"more flushes than {UPPER}",
}


@dataclass(frozen=True)
class Breach:
    """A design beyond a bound in one setting."""

    setting: str
    allocator: str
    side: Side
    by: str
    why: str
    explained: bool
    """Whether `why` is compatible with the bound; if not, the bound, the model or the design is wrong."""

    def __str__(self) -> str:
        return f"{self.by} ({self.setting})"


def find_sides(point: Point, column: Mapping[str, Point]) -> list[Side]:
    """Bounds that a design exceeds, among all designs of one setting."""
    slowest, fewest = column[UPPER], column[FEWEST_FLUSHES]
    tests: list[tuple[Side, bool]] = [
        ("faster", point.share > 1.0 + TOLERANCE),
        ("slower", point.share < slowest.share * (1.0 - TOLERANCE)),
        ("fewer flushes", point.allocator != LOWER and point.totals.flushes < fewest.totals.flushes),
        ("more flushes", point.totals.flushes > slowest.totals.flushes),
    ]
    return [side for side, outside in tests if outside]


def find_breaches(setting: str, column: Mapping[str, Point]) -> list[Breach]:
    """Find every design of one setting that is beyond a bound."""
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
    return f"{point.totals.flushes:,} flushes, {bound.allocator} {bound.totals.flushes:,}"


def _why(side: Side, point: Point, column: Mapping[str, Point]) -> tuple[str, bool]:
    if side == "faster":
        return _why_faster(point, column[LOWER])
    if side == "slower":
        return _why_slower(point, column[UPPER])
    if side == "more flushes":
        return _why_more_flushes(point, column[UPPER])
    return _why_fewer_flushes(point, column[FEWEST_FLUSHES])


def _dearer_us(point: Point, bound: Point) -> float:
    """Additional CPU time of an operation compared with the bound, us."""
    return point.dearer_us - bound.dearer_us


def _why_faster(point: Point, bound: Point) -> tuple[str, bool]:
    """Mapping costs nothing with the bound, so only waiting and switching can take less time."""
    dearer_us = _dearer_us(point, bound)
    if dearer_us >= 0:
        return (
            "an operation takes no less CPU time; its tasks end in an order that leaves CPUs less idle",
            True,
        )
    switching_us = [p.per_operation(p.cpu_ns("switch")) / 1e3 for p in (point, bound)]
    if dearer_us + switching_us[1] - switching_us[0] >= 0:
        return "the CPU time saved is for switches: tasks leave their CPUs less often", True
    return "an operation takes less CPU time than with free mapping", False


def _why_slower(point: Point, bound: Point) -> tuple[str, bool]:
    """The bound limits flushes; other work may cost more."""
    if _dearer_us(point, bound) > 0:
        return "the bound limits flushes only, and an operation takes more CPU time for other work", True
    return "an operation takes no more CPU time; its tasks wait for something other than a CPU", True


def _why_more_flushes(point: Point, bound: Point) -> tuple[str, bool]:
    """Flushes cannot exceed misses, or misses and sleeps if a wrap flushes without freeing a slot."""
    totals = point.totals
    if totals.flushes <= totals.misses:
        return "the bound applies to a given order of maps, and more maps miss in this order", True
    if totals.flushes <= totals.misses + totals.sleeps:
        return "it also flushes when no slot can be freed, which the pools of the bound do not do", True
    return "it has more flushes than misses and sleeps", False


def _why_fewer_flushes(point: Point, bound: Point) -> tuple[str, bool]:
    """The reason why a design flushes less than any pool that flushes every TLB."""
    totals = point.totals
    if not totals.flushes:
        return "it never flushes every TLB, so the bound does not apply to it", True
    if point.cpus > 1 and totals.ipis < totals.flushes * (point.cpus - 1):
        return "it flushes some CPUs only, so the bound does not apply to it", True
    if point.address_space_pages > bound.address_space_pages:
        return "it has more slots than the bound", True
    if totals.sleeps or totals.operations == bound.totals.operations:
        return (
            "the bound applies to a given order of maps, and tasks that wait elsewhere change the order",
            True,
        )
    return "unexplained", False
