"""A design beside the kernel's pool in the same compile: runs and table of the claims of single designs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.machine.profile import load_profile
from pipeline.runs.figures import hit_percent, maps_per_s
from pipeline.schema.run import Totals
from pipeline.studies.claims.bench import Bench, Experiment, tasks_per_cpu
from pipeline.studies.claims.bench_verdict import Rows

POOL = "global_pool"
WORKLOAD = "kernel_build"
MACHINES = ("numaq16", "smp8-2002", "modern-x86-64")
CPUS = (4, 16, 64)
# The kernel's pool, and one so small that the compile wraps it often.
SLOTS = (1024, 128)
_OPERATIONS_PER_CPU = 1_500
# The workload is made for as many CPUs as this machine has.
_MADE_FOR = "numaq16"

HEAD = (
    "compile", "design", "maps/s", "hit rate %", "longest hold us", "global or directed flushes", "IPIs",
    "flushes of the own TLB", "sleeps", "waits for the own CPU",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One compile through the design and through the pool."""

    case: str
    """Machine, CPUs and slots, in words."""
    allocator: str
    own: Totals
    pool: Totals
    cpus: int = 1
    page_struct_bytes: int = 0

    @property
    def gain(self) -> float:
        """The design's throughput over the pool's."""
        return maps_per_s(self.own) / maps_per_s(self.pool)


def longest_hold_ns(totals: Totals) -> int:
    """Longest that any lock was held at once."""
    return max((lock.hold_max_ns for lock in totals.locks), default=0)


def experiment(
    allocator: str, machine: str, cpus: int, slots: int, threads_per_process: int | None = None
) -> Experiment:
    """A compile with as many tasks and operations for each CPU; `slots` as the design counts them."""
    changes = dict(tasks_per_cpu(WORKLOAD, _MADE_FOR, cpus))
    if threads_per_process is not None:
        changes["threads_per_process"] = threads_per_process
    options: Mapping[str, int | str] = {"slots": slots}
    return Experiment(WORKLOAD, allocator, machine, _OPERATIONS_PER_CPU * cpus, changes, options, cpus)


def compared(bench: Bench, runs: Sequence[tuple[str, Experiment, int]]) -> list[Case]:
    """Make each experiment, and the same with the pool of so many slots."""
    cases = []
    for case, run, slots in runs:
        own = bench.manifest(run)
        pool = bench.manifest(replace(run, allocator=POOL, options={"slots": slots}))
        cases.append(
            Case(
                case,
                run.allocator,
                own.totals,
                pool.totals,
                own.machine.cpus,
                own.allocator.page_struct_bytes,
            )
        )
    return cases


def everywhere(allocator: str) -> list[tuple[str, Experiment, int]]:
    """Compiles on every machine, with all numbers of CPUs and slots."""
    return [
        (f"{cpus} CPUs of {machine}, {slots:,} slots", experiment(allocator, machine, cpus, slots), slots)
        for machine in MACHINES
        for cpus in CPUS
        for slots in SLOTS
    ]


def rows(cases: Sequence[Case]) -> Rows:
    """Both designs of every case, one under the other."""
    return [
        (
            case.case, allocator, f"{maps_per_s(totals):,.0f}", f"{hit_percent(totals):.1f}",
            f"{longest_hold_ns(totals) / 1e3:,.1f}" if totals.locks else "-", f"{totals.flushes:,}",
            f"{totals.ipis:,}", f"{totals.full_local_flushes:,}", f"{totals.sleeps:,}",
            f"{totals.pin_waits:,}",
        )
        for case in cases
        for allocator, totals in ((case.allocator, case.own), (POOL, case.pool))
    ]  # fmt: skip


def gains(cases: Sequence[Case]) -> str:
    """Throughput over the pool's: the least and the most, with where."""
    least, most = min(cases, key=lambda c: c.gain), max(cases, key=lambda c: c.gain)
    return (
        f"Throughput is {least.gain:.2f} ({least.case}) to {most.gain:.2f} times ({most.case}) that of the "
        "pool"
    )


def conditions() -> str:
    """Workload, profiles, loop and seed of all these runs, in words."""
    said = []
    for name in MACHINES:
        costs = load_profile(name).costs
        assumed = sum(cost.source.startswith("assumed") for cost in costs.values())
        said.append(f"{name} ({assumed} of its {len(costs)} costs are assumed)")
    return f"Workload {WORKLOAD}; profiles {', '.join(said)}; closed loop, seed 0"
