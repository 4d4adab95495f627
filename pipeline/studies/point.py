"""Figures of one run for tables."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from pipeline.schema.manifest import Manifest, Totals
from pipeline.schema.names import CPU_CATEGORIES

_BUSY = tuple(category for category in CPU_CATEGORIES if category != "idle")


def ratio(whole: float, count: float) -> float:
    """`whole` divided by `count`; NaN, which tables show as "-", if `count` is 0."""
    return whole / count if count else nan


@dataclass(frozen=True)
class Point:
    """One run, together with direct_map's run of the same trace on the same machine."""

    totals: Totals
    lower: Totals
    """Totals of the bound; the run's own totals if there is none."""
    allocator: str = ""
    cpus: int = 1
    address_space_pages: int = 0
    page_struct_bytes: int = 0
    findings: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest, lower: Totals | None = None) -> Point:
        """Figures of a finished run; `lower` has the totals of direct_map's run, if it is compared."""
        allocator = manifest.allocator
        return cls(
            manifest.totals,
            lower or manifest.totals,
            allocator.name,
            manifest.machine.cpus,
            allocator.address_space_pages,
            allocator.page_struct_bytes,
            tuple(found.finding for found in manifest.findings),
        )

    @property
    def maps(self) -> int:
        """Maps that the allocator served, including fallbacks; pages in low memory do not count."""
        return self.totals.hits + self.totals.misses + self.totals.fallbacks

    @property
    def maps_per_flush(self) -> float:
        """Maps per global flush."""
        return ratio(self.maps, self.totals.flushes)

    @property
    def share(self) -> float:
        """Throughput in operations per second, as a share of direct_map's."""
        return _rate(self.totals) / _rate(self.lower)

    @property
    def map_us(self) -> float:
        """Mean time from request to mapped, including sleeps, us."""
        return self.totals.map_ns / max(self.totals.operations, 1) / 1e3

    @property
    def dearer_us(self) -> float:
        """Additional CPU time of an operation compared with direct_map, without idle time, us."""
        bound = Point(self.lower, self.lower)
        return (self.per_operation(self.busy_ns) - bound.per_operation(bound.busy_ns)) / 1e3

    @property
    def hit_percent(self) -> float:
        """Percentage of maps whose page was already mapped."""
        return 100.0 * self.totals.hits / max(self.maps, 1)

    @property
    def acquisitions(self) -> int:
        """Number of lock acquisitions."""
        return sum(lock.acquisitions for lock in self.totals.locks)

    @property
    def lock_wait_percent(self) -> float:
        """CPU time spent spinning for a lock, as a percentage of all CPU time."""
        return self.cpu_percent("spin")

    @property
    def switch_us(self) -> float:
        """CPU time of context switches and wake-ups per switch, us."""
        return self.cpu_ns("switch") / max(self.totals.switches, 1) / 1e3

    def per_operation(self, amount: float) -> float:
        """`amount` per operation, whether or not the operation needs a mapping."""
        return amount / max(self.totals.operations, 1)

    def cpu_ns(self, *categories: str) -> int:
        """CPU time of all CPUs in the given categories of CPU_CATEGORIES, ns."""
        return sum(getattr(cpu, f"{category}_ns") for cpu in self.totals.cpu_time for category in categories)

    def cpu_percent(self, *categories: str) -> float:
        """The same as a percentage of all CPU time, including idle time."""
        return 100.0 * self.cpu_ns(*categories) / (self.totals.wall_ns * len(self.totals.cpu_time))

    @property
    def busy_ns(self) -> int:
        """CPU time of all CPUs without idle time, ns."""
        return self.cpu_ns(*_BUSY)


def _rate(totals: Totals) -> float:
    return totals.operations / max(totals.wall_ns, 1) * 1e9
