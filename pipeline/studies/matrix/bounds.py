"""Where a design lies beyond the designs to measure by, and what the same runs say about why.

For a given order of maps and unmaps, clairvoyant has the fewest flushes of pools that flush every TLB, and
always_flush the most of those that flush at most once a miss; proofs are in their files. direct_map pays
nothing for mapping. Nothing bounds throughput, and replayed in time each design has an order of its own. So
being beyond is no error by itself: it is one where the figures of the runs do not explain it.
"""

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


@dataclass(frozen=True)
class Breach:
    """One design beyond a bound in one setting."""

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
    """Bounds that a design is beyond, among all designs of one setting."""
    slowest, fewest = column[UPPER], column[FEWEST_FLUSHES]
    tests: list[tuple[Side, bool]] = [
        ("faster", point.share > 1.0 + TOLERANCE),
        ("slower", point.share < slowest.share * (1.0 - TOLERANCE)),
        ("fewer flushes", point.allocator != LOWER and point.totals.flushes < fewest.totals.flushes),
        ("more flushes", point.totals.flushes > slowest.totals.flushes),
    ]
    return [side for side, outside in tests if outside]


def find_breaches(setting: str, column: Mapping[str, Point]) -> list[Breach]:
    """Every design of one setting that is beyond a bound."""
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
    if side == "faster":
        return _why_faster(point, column[LOWER])
    if side == "slower":
        return _why_slower(point, column[UPPER])
    if side == "more flushes":
        return _why_more_flushes(point, column[UPPER])
    return _why_fewer_flushes(point, column[FEWEST_FLUSHES])


def _dearer_us(point: Point, bound: Point) -> float:
    """CPU time that an operation takes more than with the bound."""
    return point.dearer_us - bound.dearer_us


def _why_faster(point: Point, bound: Point) -> tuple[str, bool]:
    """Mapping itself costs nothing with the bound: only waiting and switching can be less."""
    dearer_us = _dearer_us(point, bound)
    if dearer_us >= 0:
        return "an operation takes no less CPU time: tasks end in an order in which CPUs idle less", True
    switching_us = [p.per_operation(p.cpu_ns("switch")) / 1e3 for p in (point, bound)]
    if dearer_us + switching_us[1] - switching_us[0] >= 0:
        return "what an operation takes less is for switches: tasks leave their CPUs less often", True
    return "an operation takes less CPU time than where mapping is free", False


def _why_slower(point: Point, bound: Point) -> tuple[str, bool]:
    """The bound is one of flushes: other things may cost more."""
    if _dearer_us(point, bound) > 0:
        return "the bound is one of flushes, and an operation takes more CPU time for other things", True
    return "an operation takes no more CPU time: tasks wait for something else than a CPU", True


def _why_more_flushes(point: Point, bound: Point) -> tuple[str, bool]:
    """Flushes are no more than misses, or than misses and sleeps where a wrap flushes for nothing."""
    totals = point.totals
    if totals.flushes <= totals.misses:
        return "the bound is for a given order of maps, and in this one more maps miss", True
    if totals.flushes <= totals.misses + totals.sleeps:
        return "where slots run out it flushes for nothing, which the pools of the bound do not", True
    return "it has more flushes than misses and sleeps", False


def _why_fewer_flushes(point: Point, bound: Point) -> tuple[str, bool]:
    """Why a design flushes less than a pool that flushes every TLB must."""
    totals = point.totals
    if not totals.flushes:
        return "it never flushes every TLB, so it is none of the pools that the bound is for", True
    if point.cpus > 1 and totals.ipis < totals.flushes * (point.cpus - 1):
        return "it flushes some CPUs only, so it is none of the pools that the bound is for", True
    if point.address_space_pages > bound.address_space_pages:
        return "it has more slots than the bound", True
    if totals.sleeps or totals.operations == bound.totals.operations:
        return "the bound is for a given order of maps, and tasks that wait elsewhere make another", True
    return "unexplained", False
