"""The runs of every allocator on the same traces, machines and numbers of CPUs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from pipeline.studies.experiment import Experiment, scale_tasks
from pipeline.studies.point import Point
from pipeline.studies.runner import LOWER, Runner

UPPER = "always_flush"
"""The upper bound of flushes: one per miss, without a cache."""
FEWEST_FLUSHES = "clairvoyant"
"""The lower bound of flushes for a pool of its size that flushes every TLB."""
BOUNDS = (LOWER, FEWEST_FLUSHES, UPPER)

MACHINES = ("numaq16", "modern-x86-64")
CPUS = (1, 4, 16, 64)
OPERATIONS_PER_CPU = 3_000
REPLICATIONS = 6
# The workloads are made for the number of CPUs of this machine.
MADE_FOR = "numaq16"
# Random scaling of a recording's think and wait times; without it, all replications would be identical.
JITTER_PERCENT = 0.5

Column = dict[str, Point]
"""The runs of every allocator in one setting, in the order of the tables."""
Setting = tuple["Trace", str, int]
"""Trace, machine and number of CPUs."""


@dataclass(frozen=True)
class Trace:
    """A workload whose tasks and operations grow with the CPUs, or an unchanged recording."""

    name: str
    recorded: bool = False

    def __str__(self) -> str:
        return self.name

    def experiment(
        self, allocator: str, machine: str, cpus: int, operations_per_cpu: int, seed: int
    ) -> Experiment:
        """Return one run of the trace."""
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
    """Allocators, machines, numbers of CPUs and operations; each setting is replayed with several seeds."""

    runner: Runner
    allocators: tuple[str, ...]
    machines: tuple[str, ...] = MACHINES
    cpus: tuple[int, ...] = CPUS
    operations_per_cpu: int = OPERATIONS_PER_CPU
    traces: tuple[Trace, ...] = TRACES
    replications: int = REPLICATIONS

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """Allocators in the order of the tables: direct_map, the others by name, the bounds of flushes."""
        others = sorted(set(self.allocators) - set(BOUNDS))
        return (LOWER, *others, FEWEST_FLUSHES, UPPER)

    def settings(self) -> list[Setting]:
        """Trace, machine and number of CPUs of every setting."""
        return list(product(self.traces, self.machines, self.cpus))

    @cached_property
    def columns(self) -> dict[Setting, list[Column]]:
        """Allocators of each setting with each seed; the first use makes all runs."""
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
        """Allocators in one setting, with the first seed."""
        return self.columns[trace, machine, cpus][0]

    def run_directories(self) -> list[Path]:
        """Directories of the runs with the first seed, by setting and in the order of the tables."""
        _ = self.columns
        return [
            self.runner.path(self._experiment(setting, 0, allocator))
            for setting, allocator in product(self.settings(), self.shown)
        ]

    def _experiment(self, setting: Setting, seed: int, allocator: str) -> Experiment:
        trace, machine, cpus = setting
        return trace.experiment(allocator, machine, cpus, self.operations_per_cpu, seed)
