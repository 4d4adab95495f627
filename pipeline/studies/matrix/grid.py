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
REPLICATIONS = 6
# The workloads are made for as many CPUs as this machine has.
MADE_FOR = "numaq16"
# Of a recording's think and wait times: without it, its replications would be one run.
JITTER_PERCENT = 0.5

Column = dict[str, Point]
"""Every allocator in one setting, in the order of tables."""
Setting = tuple["Trace", str, int]
"""Trace, machine and number of CPUs."""


@dataclass(frozen=True)
class Trace:
    """A workload with as many tasks and operations for each CPU, or a recording as it is."""

    name: str
    recorded: bool = False

    def __str__(self) -> str:
        return self.name

    def experiment(
        self, allocator: str, machine: str, cpus: int, operations_per_cpu: int, seed: int
    ) -> Experiment:
        """One run of it."""
        if self.recorded:
            return Experiment(
                self.name, allocator, machine, cpus=cpus, recorded=True, seed=seed,
                jitter_percent=JITTER_PERCENT,
            )  # fmt: skip
        return Experiment(
            self.name, allocator, machine, operations_per_cpu * cpus,
            scale_tasks(self.name, MADE_FOR, cpus), cpus=cpus, seed=seed,
        )  # fmt: skip


TRACES = (Trace("kernel_build"), Trace("read_one_byte"), Trace("local", recorded=True))


@dataclass(frozen=True)
class Grid:
    """Allocators, machines, numbers of CPUs and operations, each setting replayed with several seeds."""

    runner: Runner
    allocators: tuple[str, ...]
    machines: tuple[str, ...] = MACHINES
    cpus: tuple[int, ...] = CPUS
    operations_per_cpu: int = OPERATIONS_PER_CPU
    traces: tuple[Trace, ...] = TRACES
    replications: int = REPLICATIONS

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The allocators in the order of tables: direct_map, the others by name, the bounds of flushes."""
        others = sorted(set(self.allocators) - set(BOUNDS))
        return (LOWER, *others, FEWEST_FLUSHES, UPPER)

    def settings(self) -> list[Setting]:
        """Trace, machine and CPUs of every setting."""
        return list(product(self.traces, self.machines, self.cpus))

    @cached_property
    def columns(self) -> dict[Setting, list[Column]]:
        """Of each setting the allocators with each seed; all runs are made when this is first asked for."""
        cases = list(product(self.settings(), range(self.replications), self.shown))
        manifests = self.runner.make([self._experiment(*case) for case in cases])
        found: dict[Setting, list[Column]] = {setting: [] for setting in self.settings()}
        lower = None
        for (setting, _, allocator), manifest in zip(cases, manifests, strict=True):
            if allocator == LOWER:
                lower = manifest.totals
                found[setting].append({})
            found[setting][-1][allocator] = Point.of(manifest, lower)
        return found

    def column(self, trace: Trace, machine: str, cpus: int) -> Column:
        """Every allocator in one setting, with the first seed."""
        return self.columns[trace, machine, cpus][0]

    def run_directories(self) -> list[Path]:
        """Where the runs with the first seed lie; of each setting, the allocators in the order of tables."""
        _ = self.columns
        return [
            self.runner.path(self._experiment(setting, 0, allocator))
            for setting, allocator in product(self.settings(), self.shown)
        ]

    def _experiment(self, setting: Setting, seed: int, allocator: str) -> Experiment:
        trace, machine, cpus = setting
        return trace.experiment(allocator, machine, cpus, self.operations_per_cpu, seed)
