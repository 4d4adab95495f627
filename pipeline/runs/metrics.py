"""The metrics by which two sides are compared: throughput, locks, flushes, sleeping and CPU time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import unknown_name
from pipeline.schema.manifest import Totals
from pipeline.schema.names import CPU_CATEGORIES

_BUSY = tuple(category for category in CPU_CATEGORIES if category != "idle")


@dataclass(frozen=True)
class Metric:
    """A metric of a run: its unit, whether larger is better, and its value as a function of the totals."""

    name: str
    label: str
    unit: str
    more_is_better: bool
    measure: Callable[[Totals], float]


def per_operation_us(ns: float, totals: Totals) -> float:
    """Return a total time per operation, us."""
    return ns / max(totals.operations, 1) / 1e3


def category_us(totals: Totals, category: str) -> float:
    """Return the CPU time of one category per operation, us."""
    return per_operation_us(sum(getattr(cpu, f"{category}_ns") for cpu in totals.cpu_time), totals)


def _locks_us(totals: Totals, field: str) -> float:
    return per_operation_us(sum(getattr(lock, field) for lock in totals.locks), totals)


_METRICS = (
    Metric("throughput", "throughput", "op/s", True, lambda t: 1e9 * t.operations / max(t.wall_ns, 1)),
    Metric("map", "request to mapped", "us/op", False, lambda t: per_operation_us(t.map_ns, t)),
    Metric("hold", "lock held", "us/op", False, lambda t: _locks_us(t, "hold_ns")),
    Metric("wait", "lock wait", "us/op", False, lambda t: _locks_us(t, "wait_ns")),
    Metric("flushes", "flushes", "/1000 ops", False, lambda t: 1e3 * t.flushes / max(t.operations, 1)),
    Metric("asleep", "sleep for a slot", "us/op", False, lambda t: per_operation_us(t.asleep_ns, t)),
    Metric("cpu", "CPU time", "us/op", False, lambda t: sum(category_us(t, category) for category in _BUSY)),
)  # fmt: skip

METRICS = {metric.name: metric for metric in _METRICS}


def select_metrics(names: list[str] | None) -> list[Metric]:
    """Return metrics by name, all by default. Raises UsageError for an unknown name."""
    for name in names or ():
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
    return [METRICS[name] for name in dict.fromkeys(names or METRICS)]
