"""Claim (e): a pinned pool per CPU scales completely; and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.machine.profile import load_profile
from pipeline.runs.execute import RunResult
from pipeline.runs.figures import cpu_ns, hit_percent, maps
from pipeline.schema.run import EVENTS_FILE, Totals
from pipeline.studies.claims.bench import Bench, Experiment, prices, tasks_per_cpu
from pipeline.studies.claims.bench_verdict import Figures, Outcome, Verdict

CPUS = (1, 4, 16, 64)
MACHINES = ("numaq16", "modern-x86-64")
BOUND = "direct_map"
ALLOCATOR = "percpu_pinned"
_BUILD_OPERATIONS_PER_CPU = 3_000
_STORM_OPERATIONS_PER_CPU = 2_500
# Slots of each CPU for some ninety tasks that block with something mapped; the first is the design's default.
_STORM_SLOTS_PER_CPU = (16, 64)
# A design scales completely if each of the most CPUs does at least so much of what a single CPU does; both
# as shares of what the bound does with as many CPUs.
COMPLETE = 0.95


@dataclass(frozen=True)
class Point:
    """One design with one number of CPUs, and as many tasks for each CPU."""

    case: str
    """Workload, machine and, where they are varied, slots: what the CPUs are varied in."""
    allocator: str
    cpus: int
    maps_per_s: float
    bound_maps_per_s: float
    """The same of the bound, for which mapping costs nothing."""
    acquisitions: int
    flushes: int
    ipis: int

    @property
    def of_bound(self) -> float:
        """Share of the bound's throughput."""
        return self.maps_per_s / self.bound_maps_per_s


def point(case: str, allocator: str, cpus: int, totals: Totals, bound: Totals) -> Point:
    """Figures of one run beside the bound's run of the same trace."""
    return Point(
        case,
        allocator,
        cpus,
        # The bound's maps are of the kind `direct`, which are counted as neither hits nor misses.
        totals.operations / (totals.wall_ns / 1e9),
        bound.operations / (bound.wall_ns / 1e9),
        sum(lock.acquisitions for lock in totals.locks),
        totals.flushes,
        totals.ipis,
    )


def efficiency(points: Sequence[Point]) -> float:
    """Throughput with the most CPUs over that with the fewest, each as a share of the bound's."""
    ordered = sorted(points, key=lambda p: p.cpus)
    return ordered[-1].of_bound / ordered[0].of_bound


def judge(points: Sequence[Point]) -> tuple[Outcome, str]:
    """Look whether the design scales everywhere, and takes no lock, sends no IPI and flushes nothing."""
    own = [p for p in points if p.allocator == ALLOCATOR]
    kept = {
        case: efficiency([p for p in own if p.case == case]) for case in dict.fromkeys(p.case for p in own)
    }
    shared = sum(p.acquisitions + p.flushes + p.ipis for p in own)
    incomplete = [case for case, share in kept.items() if share < COMPLETE]
    said = "; ".join(f"{case} {share:.3f}{_beside(points, case)}" for case, share in kept.items())
    fewest, most = min(p.cpus for p in own), max(p.cpus for p in own)
    said = (
        f"from {fewest} to {most} CPUs each CPU keeps this share of what it does where mapping costs "
        f"nothing: {said}. "
    )
    said += (
        "No lock is taken, no IPI sent, nothing flushed globally."
        if not shared
        else f"{sum(p.acquisitions for p in own):,} locks are taken, {sum(p.ipis for p in own):,} IPIs sent, "
        f"{sum(p.flushes for p in own):,} flushes made."
    )
    if shared or len(incomplete) == len(kept):
        return "does not hold", said[0].upper() + said[1:]
    if incomplete:
        return "depends", f"On slots for the tasks that block (incomplete: {'; '.join(incomplete)}): {said}"
    return "holds", said[0].upper() + said[1:]


def _beside(points: Sequence[Point], case: str) -> str:
    """The same of the other design in this case, in brackets, if it was tried."""
    others = [p for p in points if p.case == case and p.allocator != ALLOCATOR]
    return f" ({others[0].allocator} {efficiency(others):.3f})" if others else ""


@dataclass(frozen=True)
class Price:
    """What pinning costs where tasks block while they have something mapped."""

    allocator: str
    wall_s: float
    bound_wall_s: float
    address_space_pages: int
    hit_percent: float
    invalidations_per_map: float
    walks_per_map: float
    sleeps: int
    asleep_task_s: float
    pin_waits: int
    pin_wait_task_s: float
    beside_idle_percent: float
    """Share of the pin waits that began while some CPU was idle."""
    idle_percent: float


def price(run: RunResult, bound: Totals, allocator: str) -> Price:
    """Figures of a run with an event log."""
    totals = run.manifest.totals
    events = pq.read_table(run.path / EVENTS_FILE, columns=["event", "value"])
    waits = events.filter(pc.equal(pc.cast(events["event"], "string"), "pin_wait"))
    beside_idle = pc.sum(pc.greater(waits["value"], 0)).as_py() or 0
    return Price(
        allocator,
        totals.wall_ns / 1e9,
        bound.wall_ns / 1e9,
        run.manifest.allocator.address_space_pages,
        hit_percent(totals),
        totals.local_flushes / max(maps(totals), 1),
        totals.walks / max(maps(totals), 1),
        totals.sleeps,
        totals.asleep_ns / 1e9,
        totals.pin_waits,
        totals.pin_wait_ns / 1e9,
        100.0 * beside_idle / max(waits.num_rows, 1),
        100.0 * cpu_ns(totals, ("idle",)) / (totals.wall_ns * len(totals.cpu_time)),
    )


def paid(found: Sequence[Price], workload: str) -> str:
    """Say in one sentence what the design pays in a workload."""
    pays: dict[str, list[str]] = {}
    for p in found:
        if p.allocator.startswith(ALLOCATOR):
            said = (
                f"{p.wall_s / p.bound_wall_s:.2f} times (tasks wait for their own CPU {p.pin_waits:,} times, "
                f"{p.pin_wait_task_s:.2f} s of task time, {p.beside_idle_percent:.0f} % of the waits "
                "beginning while another CPU is idle)"
            )
            pays.setdefault(said, []).append(p.allocator.removeprefix(f"{ALLOCATOR}, "))
    each = "; ".join(f"{said} with {' or '.join(allocators)}" for said, allocators in pays.items())
    first, other = found[0], found[-1]
    return (
        f"{workload} takes as long as where mapping costs nothing {each}. It takes "
        f"{first.address_space_pages:,} pages of address space or more; {first.hit_percent:.0f} % of maps "
        f"hit, with {first.invalidations_per_map:.2f} local invalidations and {first.walks_per_map:.2f} "
        f"page-table walks each ({other.allocator}: {other.hit_percent:.0f} %, "
        f"{other.invalidations_per_map:.2f} and {other.walks_per_map:.2f})."
    )


def _scaling(bench: Bench) -> list[Point]:
    points = []
    for cpus in CPUS:
        for machine in MACHINES:
            for workload in ("kernel_build", "read_one_byte_files"):
                runs = [
                    _experiment(workload, machine, cpus, _BUILD_OPERATIONS_PER_CPU, allocator)
                    for allocator in (BOUND, ALLOCATOR, "global_pool")
                ]
                points += _points(bench, f"{workload} on {machine}", runs, cpus)
        storm = _experiment("fault_storm", MACHINES[0], cpus, _STORM_OPERATIONS_PER_CPU, ALLOCATOR)
        for slots in _STORM_SLOTS_PER_CPU:
            runs = [replace(storm, allocator=BOUND), replace(storm, options={"slots_per_cpu": slots})]
            case = f"fault_storm on {MACHINES[0]}, {slots} slots per CPU"
            points += _points(bench, case, runs, cpus)
    return sorted(points, key=lambda p: p.case)


def _points(bench: Bench, case: str, runs: Sequence[Experiment], cpus: int) -> list[Point]:
    bound, *others = (bench.manifest(run).totals for run in runs)
    return [
        point(case, run.allocator, cpus, totals, bound) for run, totals in zip(runs[1:], others, strict=True)
    ]


def _experiment(
    workload: str, machine: str, cpus: int, operations_per_cpu: int, allocator: str
) -> Experiment:
    # All workloads are made for 16 CPUs, whatever the machine has.
    changes = tasks_per_cpu(workload, MACHINES[0], cpus)
    return Experiment(workload, allocator, machine, operations_per_cpu * cpus, changes, cpus=cpus)


def _prices(bench: Bench, workload: str, operations_per_cpu: int) -> list[Price]:
    cpus = load_profile(MACHINES[0]).cpus
    bound = bench.manifest(_experiment(workload, MACHINES[0], cpus, operations_per_cpu, BOUND)).totals

    def priced(allocator: str, name: str, options: dict[str, int | str]) -> Price:
        experiment = _experiment(workload, MACHINES[0], cpus, operations_per_cpu, allocator)
        run = bench.run(replace(experiment, options=options, events="full"))
        return price(run, bound, f"{allocator}, {name}")

    fewest = _STORM_SLOTS_PER_CPU[0]
    return [
        *(
            priced(ALLOCATOR, f"{slots} slots per CPU", {"slots_per_cpu": slots})
            for slots in _STORM_SLOTS_PER_CPU
        ),
        priced(
            ALLOCATOR,
            f"{fewest} slots per CPU waited for unpinned",
            {"slots_per_cpu": fewest, "wait_pinned": "false"},
        ),
        priced("global_pool", "1024 slots", {"slots": 1024}),
    ]


def verdict(bench: Bench) -> Verdict:
    """Give both workloads more and more CPUs; then see what is paid on sixteen."""
    points = _scaling(bench)
    outcome, because = judge(points)
    storm = _prices(bench, "fault_storm", _STORM_OPERATIONS_PER_CPU)
    build = _prices(bench, "kernel_build", _BUILD_OPERATIONS_PER_CPU)
    shown = _experiment("fault_storm", MACHINES[0], 16, _STORM_OPERATIONS_PER_CPU, ALLOCATOR)
    return Verdict(
        "A per-CPU pinned pool scales completely, without lock, IPI or global flush; and what it costs",
        "A. Arcangeli, linux-kernel, March 2002",
        outcome,
        f"{because} What it costs on {MACHINES[0]}: {paid(build, 'kernel_build')} "
        f"{paid(storm, 'fault_storm')}",
        f"Workloads kernel_build, read_one_byte_files and fault_storm; profiles {' and '.join(MACHINES)}; "
        "closed loop, seed 0",
        (
            "case", "design", "CPUs", "maps/s", "bound's maps/s", "share of the bound",
            "maps/s for each CPU", "locks taken", "IPIs", "global flushes",
        ),
        [
            (
                p.case, p.allocator, str(p.cpus), f"{p.maps_per_s:,.0f}",
                f"{p.bound_maps_per_s:,.0f}", f"{p.of_bound:.3f}", f"{p.maps_per_s / p.cpus:,.0f}",
                f"{p.acquisitions:,}", f"{p.ipis:,}", f"{p.flushes:,}",
            )
            for p in points
        ],
        further=[
            _price_table("kernel_build", build),
            _price_table("fault_storm", storm),
        ],
        varied="the CPUs of the profile, with as many tasks and operations for each; then, on 16 CPUs of "
        f"{MACHINES[0]}, the slots of each CPU. The bound is {BOUND}, for which mapping costs nothing, on "
        "the same trace with as many CPUs: what the workload itself loses by waiting is not put down to a "
        "design. A CPU's tasks ask as often on both machines.",
        assumed="how often and how long mappings block, which decides how long tasks wait for their CPU; the "
        f"scheduler's one queue; {prices(MACHINES[0], 'pte_write_ns', 'invalidate_ns', 'walk_ns')}; "
        f"{prices(MACHINES[1], 'pte_write_ns', 'invalidate_ns', 'walk_ns')}.",
        commands=shown.commands(),
    )  # fmt: skip


def _price_table(workload: str, found: Sequence[Price]) -> Figures:
    return Figures(
        f"What it costs in {workload} on 16 CPUs of {MACHINES[0]}; {BOUND} takes "
        f"{found[0].bound_wall_s:.3f} s:",
        (
            "design", "address space pages", "wall s", "hit rate %", "invalidations per map", "walks per map",
            "sleeps for a slot", "asleep task s", "waits for the own CPU", "waiting task s",
            "while a CPU idles %", "CPUs idle %",
        ),
        [
            (
                p.allocator, f"{p.address_space_pages:,}", f"{p.wall_s:.3f}", f"{p.hit_percent:.1f}",
                f"{p.invalidations_per_map:.2f}", f"{p.walks_per_map:.2f}", f"{p.sleeps:,}",
                f"{p.asleep_task_s:,.1f}", f"{p.pin_waits:,}", f"{p.pin_wait_task_s:,.2f}",
                f"{p.beside_idle_percent:.0f}" if p.pin_waits else "-", f"{p.idle_percent:.1f}",
            )
            for p in found
        ],
    )  # fmt: skip
