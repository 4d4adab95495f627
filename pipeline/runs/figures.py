"""Figures that follow from a run's totals, for tables and verdicts."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.schema.run import CPU_CATEGORIES, Totals

BUSY = tuple(category for category in CPU_CATEGORIES if category != "idle")


def maps(totals: Totals) -> int:
    """Maps that the design served, whatever the way; pages in low memory are none."""
    return totals.hits + totals.misses + totals.fallbacks


def hit_percent(totals: Totals) -> float:
    """Share of the maps whose page was mapped already; 0 without maps."""
    return 100.0 * totals.hits / max(maps(totals), 1)


def contended_percent(totals: Totals) -> float:
    """Share of lock acquisitions that found the lock busy (lockmeter's CON); 0 without any."""
    acquisitions = sum(lock.acquisitions for lock in totals.locks)
    return 100.0 * sum(lock.contended for lock in totals.locks) / max(acquisitions, 1)


def cpu_ns(totals: Totals, categories: Iterable[str]) -> int:
    """CPU time of all CPUs in some categories of CPU_CATEGORIES."""
    wanted = tuple(categories)
    return sum(getattr(cpu, f"{category}_ns") for cpu in totals.cpu_time for category in wanted)


def cpu_percent(totals: Totals, categories: Iterable[str]) -> float:
    """The same as a share of the CPU time there was, idle or not."""
    return 100.0 * cpu_ns(totals, categories) / (totals.wall_ns * len(totals.cpu_time))


def busy_ns(totals: Totals) -> int:
    """CPU time of all CPUs that was not idle."""
    return cpu_ns(totals, BUSY)


def maps_per_s(totals: Totals) -> float:
    """Maps of all CPUs per second of simulated time."""
    return maps(totals) / (totals.wall_ns / 1e9)
