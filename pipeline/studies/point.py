"""Figures of one run, as tables use them."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

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

    @classmethod
    def of(cls, manifest: Manifest, lower: Totals | None = None) -> Point:
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
        )

    @property
    def maps(self) -> int:
        """Maps that the allocator served, whatever the way; pages in low memory are none."""
        return self.totals.hits + self.totals.misses + self.totals.fallbacks

    @property
    def maps_per_flush(self) -> float:
        """Maps for each flush of every TLB."""
        return ratio(self.maps, self.totals.flushes)

    @property
    def share(self) -> float:
        """Operations per second, as a share of direct_map's."""
        return _rate(self.totals) / _rate(self.lower)

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
    def acquisitions(self) -> int:
        """How often a lock was taken."""
        return sum(lock.acquisitions for lock in self.totals.locks)

    @property
    def lock_wait_percent(self) -> float:
        """CPU time spent spinning for a lock, as a share of all there was."""
        return self.cpu_percent("spin")

    @property
    def switch_us(self) -> float:
        """CPU time of context switches and wake-ups, for each switch, us."""
        return self.cpu_ns("switch") / max(self.totals.switches, 1) / 1e3

    def per_operation(self, amount: float) -> float:
        """`amount` for every operation, whether or not it needs a mapping."""
        return amount / max(self.totals.operations, 1)

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
