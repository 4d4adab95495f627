"""Every allocator on the same traces, machines and numbers of CPUs: which runs there are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from pipeline.studies.experiment import Experiment, scale_tasks
from pipeline.studies.point import Point
from pipeline.studies.runner import LOWER, Runner

UPPER = "always_flush"
"""The bound of flushes at one a miss, which caches nothing."""
FEWEST_FLUSHES = "clairvoyant"
"""The bound of how rarely a pool of its size need flush every TLB."""
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

    def __str__(self) -> str:
        return self.name

    def experiment(
        self,
        allocator: str,
        machine: str,
        cpus: int,
        operations_per_cpu: int = OPERATIONS_PER_CPU,
        **options: int | str,
    ) -> Experiment:
        """One run of it."""
        if self.recorded:
            return Experiment(self.name, allocator, machine, options=options, cpus=cpus, recorded=True)
        changes = scale_tasks(self.name, MADE_FOR, cpus)
        operations = operations_per_cpu * cpus
        return Experiment(self.name, allocator, machine, operations, changes, options, cpus)


BUILD, BYTE, LOCAL = Trace("kernel_build"), Trace("read_one_byte"), Trace("local", recorded=True)
TRACES = (BUILD, BYTE, LOCAL)


class NotAskedError(LookupError):
    """A setting or allocator that the comparison was told to leave out."""


@dataclass(frozen=True)
class Grid:
    """Allocators, machines, numbers of CPUs and operations; a run is made when it is first asked for."""

    runner: Runner
    allocators: tuple[str, ...]
    machines: tuple[str, ...] = MACHINES
    cpus: tuple[int, ...] = CPUS
    operations_per_cpu: int = OPERATIONS_PER_CPU
    traces: tuple[Trace, ...] = TRACES

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The allocators in the order of tables: direct_map, the others by name, the bounds of flushes."""
        others = sorted(set(self.allocators) - set(BOUNDS))
        return (LOWER, *others, FEWEST_FLUSHES, UPPER)

    def at(self, trace: Trace, machine: str, cpus: int, allocator: str) -> Point:
        """One allocator in one setting. Raises NotAskedError for one that was left out."""
        if (trace, machine, cpus) not in self.settings() or allocator not in self.shown:
            raise NotAskedError(f"{allocator} on {trace}, {machine} with {cpus} CPUs")
        return self.measure(trace.experiment(allocator, machine, cpus, self.operations_per_cpu))

    def points(self, trace: Trace, machine: str, cpus: int, *allocators: str) -> list[Point]:
        """Some allocators in one setting."""
        return [self.at(trace, machine, cpus, allocator) for allocator in allocators]

    def measure(self, experiment: Experiment) -> Point:
        """Figures of any experiment, beside direct_map's run of the same trace and prices."""
        return self.runner.bounded_point(experiment)

    def column(self, trace: Trace, machine: str, cpus: int) -> dict[str, Point]:
        """Every allocator in one setting."""
        return dict(zip(self.shown, self.points(trace, machine, cpus, *self.shown), strict=True))

    def settings(self) -> list[tuple[Trace, str, int]]:
        """Trace, machine and CPUs of every setting."""
        return list(product(self.traces, self.machines, self.cpus))

    def run_directories(self) -> list[Path]:
        """Where the runs of all settings lie; of each, the allocators in the order of tables."""
        experiments = (
            trace.experiment(allocator, machine, cpus, self.operations_per_cpu)
            for (trace, machine, cpus), allocator in product(self.settings(), self.shown)
        )
        return [self.runner.run(experiment).path for experiment in experiments]
