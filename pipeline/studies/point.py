"""Figures of one run, as tables and verdicts use them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import Any

from pipeline.schema.run import CPU_CATEGORIES, Manifest, Totals

_BUSY = tuple(category for category in CPU_CATEGORIES if category != "idle")


def ratio(whole: float, count: float) -> float:
    """`whole` for each of `count`; not a number, which tables show as "-", where there is none."""
    return whole / count if count else nan


@dataclass(frozen=True)
class Point:
    """One run, and beside it direct_map's run of the same trace on the same machine."""

    totals: Totals
    lower: Totals
    """The bound's; the run's own where it stands alone."""
    allocator: str = ""
    cpus: int = 1
    address_space_pages: int = 0
    page_struct_bytes: int = 0
    findings: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    case: str = ""
    """What is varied, in words."""

    @classmethod
    def of(cls, manifest: Manifest, lower: Totals | None = None, case: str = "") -> Point:
        """Figures of a finished run; `lower` are the totals of direct_map's, where it is compared."""
        allocator = manifest.allocator
        return cls(
            manifest.totals,
            lower or manifest.totals,
            allocator.name,
            manifest.machine.cpus,
            allocator.address_space_pages,
            allocator.page_struct_bytes,
            tuple(found.finding for found in manifest.findings),
            dict(allocator.options),
            case,
        )

    @property
    def maps(self) -> int:
        """Maps that the allocator served, whatever the way; pages in low memory are none."""
        return self.totals.hits + self.totals.misses + self.totals.fallbacks

    @property
    def maps_per_s(self) -> float:
        """Maps of all CPUs per second of simulated time."""
        return self.maps / self.wall_s

    @property
    def maps_per_flush(self) -> float:
        """Maps for each flush of every TLB."""
        return ratio(self.maps, self.totals.flushes)

    @property
    def operations_per_s(self) -> float:
        """Operations of all CPUs per second of simulated time, whether or not they need a mapping."""
        return _rate(self.totals)

    @property
    def share(self) -> float:
        """Operations per second, as a share of direct_map's."""
        return _rate(self.totals) / _rate(self.lower)

    @property
    def wall_s(self) -> float:
        """Simulated wall time."""
        return self.totals.wall_ns / 1e9

    @property
    def map_us(self) -> float:
        """Mean time from asking for a mapping to having it, sleeps included, us."""
        return self.totals.map_ns / max(self.totals.operations, 1) / 1e3

    @property
    def dearer_us(self) -> float:
        """CPU time that an operation takes more than with direct_map, idling left out, us."""
        bound = Point(self.lower, self.lower)
        return (self.per_operation(self.busy_ns) - bound.per_operation(bound.busy_ns)) / 1e3

    @property
    def hit_percent(self) -> float:
        """Share of maps whose page was mapped already."""
        return 100.0 * self.totals.hits / max(self.maps, 1)

    @property
    def contended_percent(self) -> float:
        """Share of lock acquisitions that found the lock busy (lockmeter's CON); 0 without any."""
        return 100.0 * sum(lock.contended for lock in self.totals.locks) / max(self.acquisitions, 1)

    @property
    def acquisitions(self) -> int:
        """How often a lock was taken."""
        return sum(lock.acquisitions for lock in self.totals.locks)

    @property
    def longest_hold_us(self) -> float:
        """Longest that a lock was held at once, us; not a number without locks."""
        return max((lock.hold_max_ns / 1e3 for lock in self.totals.locks), default=nan)

    @property
    def lock_wait_percent(self) -> float:
        """CPU time spent spinning for a lock, as a share of all there was."""
        return self.cpu_percent("spin")

    @property
    def flush_percent(self) -> float:
        """CPU time of passes, flushes and the interrupts that they send, as a share of all there was."""
        return self.cpu_percent("scan", "flush", "interrupted")

    @property
    def idle_percent(self) -> float:
        """Share of all CPU time without a task to run."""
        return self.cpu_percent("idle")

    @property
    def switch_us(self) -> float:
        """CPU time of context switches and wake-ups, for each switch, us."""
        return self.cpu_ns("switch") / max(self.totals.switches, 1) / 1e3

    @property
    def pass_us(self) -> float:
        """Mean time of a pass and its flush, us."""
        return ratio(self.cpu_ns("scan", "flush") / 1e3, self.totals.scans)

    @property
    def stolen_us(self) -> float:
        """Mean CPU time that a pass takes from the other CPUs together, us."""
        return ratio(self.cpu_ns("interrupted") / 1e3, self.totals.scans)

    @property
    def freed_per_pass(self) -> float:
        """Slots that a pass frees, on the mean."""
        return ratio(self.totals.freed, self.totals.scans)

    def per_1000(self, count: int) -> float:
        """`count` for every 1,000 maps."""
        return count * (1000.0 / self.maps)

    def per_operation(self, amount: float) -> float:
        """`amount` for every operation, whether or not it needs a mapping."""
        return amount / max(self.totals.operations, 1)

    def per_map(self, amount: float) -> float:
        """`amount` for every map."""
        return amount / max(self.maps, 1)

    def cpu_ns(self, *categories: str) -> int:
        """CPU time of all CPUs in some categories of CPU_CATEGORIES."""
        return sum(getattr(cpu, f"{category}_ns") for cpu in self.totals.cpu_time for category in categories)

    def cpu_percent(self, *categories: str) -> float:
        """The same as a share of the CPU time there was, idle or not."""
        return 100.0 * self.cpu_ns(*categories) / (self.totals.wall_ns * len(self.totals.cpu_time))

    @property
    def busy_ns(self) -> int:
        """CPU time of all CPUs that was not idle."""
        return self.cpu_ns(*_BUSY)


def _rate(totals: Totals) -> float:
    return totals.operations / max(totals.wall_ns, 1) * 1e9
