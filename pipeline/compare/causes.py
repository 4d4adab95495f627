"""Breakdown of a difference: CPU time by category, and counts of operations of the machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.runs.metrics import category_us
from pipeline.schema.manifest import Manifest, Totals
from pipeline.schema.names import CPU_CATEGORIES

_LEAST_SHARE = 0.05

_COUNTS: dict[str, Callable[[Totals], int]] = {
    "misses": lambda t: t.misses,
    "slots probed": lambda t: t.probed,
    "slots scanned": lambda t: t.scanned,
    "slots freed": lambda t: t.freed,
    "contended acquisitions": lambda t: sum(lock.contended for lock in t.locks),
    "CPUs interrupted": lambda t: t.ipis,
    "own addresses invalidated": lambda t: t.local_flushes,
    "sleeps": lambda t: t.sleeps,
    "waits for the own CPU": lambda t: t.pin_waits,
    "context switches": lambda t: t.switches,
    "page-table walks": lambda t: t.walks,
}


@dataclass(frozen=True)
class Cause:
    """A quantity that changed: its means per operation for A and B."""

    name: str
    unit: str
    a: float
    b: float


def find_causes(pairs: Sequence[tuple[Manifest, Manifest]]) -> list[Cause]:
    """Return CPU times by category and counts that changed, times first, the largest changes first."""
    return [*_moved(pairs, "us/op", _categories()), *_moved(pairs, "/op", _rates())]


def _categories() -> dict[str, Callable[[Totals], float]]:
    def of(category: str) -> Callable[[Totals], float]:
        return lambda totals: category_us(totals, category)

    return {f"CPU time: {category.replace('_', ' ')}": of(category) for category in CPU_CATEGORIES}


def _rates() -> dict[str, Callable[[Totals], float]]:
    def of(count: Callable[[Totals], int]) -> Callable[[Totals], float]:
        return lambda totals: count(totals) / max(totals.operations, 1)

    return {name: of(count) for name, count in _COUNTS.items()}


def _moved(
    pairs: Sequence[tuple[Manifest, Manifest]], unit: str, measures: dict[str, Callable[[Totals], float]]
) -> list[Cause]:
    """Select measures that changed by a fraction of the total change; for counts, of their own value."""
    causes = [
        Cause(
            name, unit, *(sum(of(m.totals) for m in side) / len(pairs) for side in zip(*pairs, strict=True))
        )
        for name, of in measures.items()
    ]
    whole = sum(abs(cause.b - cause.a) for cause in causes)

    def matters(cause: Cause) -> bool:
        change = abs(cause.b - cause.a)
        against = whole if unit == "us/op" else max(cause.a, cause.b)
        return change > _LEAST_SHARE * against and change > 0

    moved = [cause for cause in causes if matters(cause)]
    return sorted(moved, key=lambda cause: -abs(cause.b - cause.a))
