"""Every design on the same traces, machines and numbers of CPUs: which runs there are, and their figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pipeline.allocators.registry import load_allocator
from pipeline.runs.figures import busy_ns, cpu_ns, cpu_percent, hit_percent
from pipeline.schema.run import Manifest, Totals
from pipeline.studies.claims.bench import Bench, Experiment, tasks_per_cpu

LOWER = "direct_map"
"""The bound for which mapping costs nothing."""
UPPER = "always_flush"
"""The bound which caches nothing."""
FEWEST_FLUSHES = "clairvoyant"
"""The bound of how rarely a pool of cached mappings need flush every TLB."""
BOUNDS = (LOWER, FEWEST_FLUSHES, UPPER)

MACHINES = ("numaq16", "modern-x86-64")
CPUS = (1, 4, 16, 64)
OPERATIONS_PER_CPU = 3_000
# The workloads are made for as many CPUs as this machine has.
MADE_FOR = "numaq16"


@dataclass(frozen=True)
class Trace:
    """A workload with as many tasks and operations for each CPU, or a recording as it is."""

    name: str
    recorded: bool = False

    def experiment(self, allocator: str, machine: str, cpus: int, operations_per_cpu: int) -> Experiment:
        """One run of it."""
        if self.recorded:
            return Experiment(self.name, allocator, machine, 0, cpus=cpus, recorded=True)
        changes = tasks_per_cpu(self.name, MADE_FOR, cpus)
        return Experiment(self.name, allocator, machine, operations_per_cpu * cpus, changes, cpus=cpus)


TRACES = (Trace("kernel_build"), Trace("read_one_byte"), Trace("local", recorded=True))


@dataclass(frozen=True)
class Point:
    """One design in one setting, beside the run of the lower bound there."""

    allocator: str
    cpus: int
    totals: Totals
    lower: Totals
    address_space_pages: int = 0
    page_struct_bytes: int = 0
    findings: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Operations per second of simulated time, as a share of the lower bound's."""
        return _rate(self.totals) / _rate(self.lower)

    @property
    def map_us(self) -> float:
        """Mean time from asking for a mapping to having it, sleeps included, us."""
        return self.totals.map_ns / max(self.totals.operations, 1) / 1e3

    @property
    def dearer_us(self) -> float:
        """CPU time that an operation takes more than with the lower bound, idling left out, us."""
        each, least = (busy_ns(totals) / max(totals.operations, 1) for totals in (self.totals, self.lower))
        return (each - least) / 1e3

    @property
    def lock_wait_percent(self) -> float:
        """CPU time spent spinning for a lock, as a share of all there was."""
        return cpu_percent(self.totals, ("spin",))

    @property
    def hit_percent(self) -> float:
        """Share of maps whose page was mapped already."""
        return hit_percent(self.totals)

    @property
    def idle_percent(self) -> float:
        """Share of all CPU time without a task to run."""
        return cpu_percent(self.totals, ("idle",))

    @property
    def longest_hold_us(self) -> float:
        """Longest that a lock was held at once, us."""
        return max((lock.hold_max_ns for lock in self.totals.locks), default=0) / 1e3

    @property
    def switch_us(self) -> float:
        """CPU time of context switches and wake-ups, for each switch, us."""
        return cpu_ns(self.totals, ("switch",)) / max(self.totals.switches, 1) / 1e3


def _rate(totals: Totals) -> float:
    return totals.operations / max(totals.wall_ns, 1) * 1e9


def point(manifest: Manifest, lower: Totals) -> Point:
    """Figures of a run beside the lower bound's of the same trace on the same machine."""
    return Point(
        manifest.allocator.name,
        manifest.machine.cpus,
        manifest.totals,
        lower,
        manifest.allocator.address_space_pages,
        manifest.allocator.page_struct_bytes,
        tuple(found.finding for found in manifest.findings),
    )


class NotAskedError(LookupError):
    """A setting or design that the comparison was told to leave out."""


@dataclass(frozen=True)
class Grid:
    """Designs, machines, numbers of CPUs and operations; a run is made when it is first asked for."""

    bench: Bench
    allocators: tuple[str, ...]
    machines: tuple[str, ...] = MACHINES
    cpus: tuple[int, ...] = CPUS
    operations_per_cpu: int = OPERATIONS_PER_CPU
    traces: tuple[Trace, ...] = TRACES
    _points: dict[object, Point] = field(default_factory=dict)

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The designs in the order of tables: the lower bound, the others by name, the upper bounds."""
        others = sorted(set(self.allocators) - set(BOUNDS))
        return (LOWER, *others, FEWEST_FLUSHES, UPPER)

    def at(self, trace: str, machine: str, cpus: int, allocator: str) -> Point:
        """One design in one setting. Raises NotAskedError for one that was left out."""
        traces = {known.name: known for known in self.traces}
        if (
            trace not in traces
            or machine not in self.machines
            or cpus not in self.cpus
            or allocator not in self.shown
        ):
            raise NotAskedError(f"{allocator} on {trace}, {machine} with {cpus} CPUs")
        experiment = traces[trace].experiment(allocator, machine, cpus, self.operations_per_cpu)
        return self.tried(experiment)

    def tried(self, experiment: Experiment) -> Point:
        """Figures of any experiment, beside the lower bound's run of the same trace and prices."""
        key = repr(experiment)
        if key not in self._points:
            bound = Experiment(
                experiment.workload,
                LOWER,
                experiment.machine,
                experiment.operations,
                experiment.changes,
                cpus=experiment.cpus,
                costs=experiment.costs,
                recorded=experiment.recorded,
            )
            lower = self.bench.manifest(bound).totals
            self._points[key] = point(self.bench.manifest(experiment), lower)
        return self._points[key]

    def row(self, trace: str, machine: str, allocator: str) -> list[Point]:
        """One design with each number of CPUs."""
        return [self.at(trace, machine, cpus, allocator) for cpus in self.cpus]

    def column(self, trace: str, machine: str, cpus: int) -> dict[str, Point]:
        """Every design in one setting."""
        return {allocator: self.at(trace, machine, cpus, allocator) for allocator in self.shown}

    def run_directories(self) -> list[Path]:
        """Where the runs of all settings lie; of each, the designs in the order of tables."""
        traces = {known.name: known for known in self.traces}
        experiments = (
            traces[trace].experiment(allocator, machine, cpus, self.operations_per_cpu)
            for trace, machine, cpus in self.settings()
            for allocator in self.shown
        )
        return [self.bench.run(experiment).path for experiment in experiments]

    def settings(self) -> Iterable[tuple[str, str, int]]:
        """Trace, machine and CPUs of every setting."""
        return (
            (trace.name, machine, cpus)
            for trace in self.traces
            for machine in self.machines
            for cpus in self.cpus
        )


def pins(allocator: str) -> bool:
    """Whether a design binds a task to its CPU while it has something mapped."""
    module = load_allocator(allocator).module
    return hasattr(module, "pin") or hasattr(module, "forbid_sleep")
