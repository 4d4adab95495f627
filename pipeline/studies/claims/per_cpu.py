"""Claim (e): a pinned pool per CPU scales completely; and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.sql.query import sql
from pipeline.studies.experiment import Experiment, describe_costs, scale_tasks
from pipeline.studies.point import Point
from pipeline.studies.runner import LOWER, Runner
from pipeline.studies.verdict import Columns, Outcome, Table, Verdict, capitalize, outcome_of

CPUS = (1, 4, 16, 64)
MACHINES = ("numaq16", "modern-x86-64")
ALLOCATOR = "percpu_pinned"
POOL = "global_pool"
_OPERATIONS_PER_CPU = {"kernel_build": 3_000, "read_one_byte_files": 3_000, "fault_storm": 2_500}
# Slots of each CPU for some ninety tasks that block with something mapped; the first is the design's default.
_STORM_SLOTS_PER_CPU = (16, 64)
# A design scales completely if each of the most CPUs does at least so much of what a single CPU does; both
# as shares of what the bound does with as many CPUs.
COMPLETE = 0.95

# The bound's maps are of the kind `direct`, which are counted as neither hits nor misses.
_COLUMNS: Columns = {
    "case": "case",
    "design": "allocator",
    "CPUs": "cpus",
    "maps/s": "operations_per_s:,.0f",
    "bound's maps/s": lambda p: f"{p.operations_per_s / p.share:,.0f}",
    "share of the bound": "share:.3f",
    "maps/s for each CPU": lambda p: f"{p.operations_per_s / p.cpus:,.0f}",
    "locks taken": "acquisitions:,",
    "IPIs": "totals.ipis:,",
    "global flushes": "totals.flushes:,",
}


def efficiency(points: Sequence[Point]) -> float:
    """Throughput with the most CPUs over that with the fewest, each as a share of the bound's."""
    ordered = sorted(points, key=lambda p: p.cpus)
    return ordered[-1].share / ordered[0].share


def judge(points: Sequence[Point]) -> tuple[Outcome, str]:
    """Look whether the design scales everywhere, and takes no lock, sends no IPI and flushes nothing."""
    rows: dict[tuple[str, str], list[Point]] = {}
    for p in points:
        rows.setdefault((p.allocator, p.case), []).append(p)
    own = [p for p in points if p.allocator == ALLOCATOR]
    kept = {case: efficiency(row) for (allocator, case), row in rows.items() if allocator == ALLOCATOR}
    incomplete = [case for case, share in kept.items() if share < COMPLETE]
    shared = {
        "locks are taken": sum(p.acquisitions for p in own),
        "IPIs sent": sum(p.totals.ipis for p in own),
        "flushes made": sum(p.totals.flushes for p in own),
    }
    shares = "; ".join(
        f"{case} {share:.3f}"
        + (f" ({POOL} {efficiency(rows[POOL, case]):.3f})" if (POOL, case) in rows else "")
        for case, share in kept.items()
    )
    words = (
        f"from {min(p.cpus for p in own)} to {max(p.cpus for p in own)} CPUs each CPU keeps this share of "
        f"what it does where mapping costs nothing: {shares}. "
    )
    if any(shared.values()):
        words += f"{', '.join(f'{count:,} {what}' for what, count in shared.items())}."
        return "does not hold", capitalize(words)
    words += "No lock is taken, no IPI sent, nothing flushed globally."
    outcome = outcome_of(len(kept) - len(incomplete), len(kept))
    if outcome == "depends":
        words = f"on slots for the tasks that block (incomplete: {'; '.join(incomplete)}): {words}"
    return outcome, capitalize(words)


@dataclass(frozen=True)
class Price:
    """What pinning costs where tasks block while they have something mapped."""

    point: Point
    """Its case is the slots, in words."""
    beside_idle_percent: float
    """Share of the pin waits that began while some CPU was idle."""


_PRICE_COLUMNS: Columns = {
    "design": lambda p: f"{p.point.allocator}, {p.point.case}",
    "address space pages": "point.address_space_pages:,",
    "wall s": "point.wall_s:.3f",
    "hit rate %": "point.hit_percent:.1f",
    "invalidations per map": lambda p: f"{p.point.per_map(p.point.totals.local_flushes):.2f}",
    "walks per map": lambda p: f"{p.point.per_map(p.point.totals.walks):.2f}",
    "sleeps for a slot": "point.totals.sleeps:,",
    "asleep task s": lambda p: f"{p.point.totals.asleep_ns / 1e9:,.1f}",
    "waits for the own CPU": "point.totals.pin_waits:,",
    "waiting task s": lambda p: f"{p.point.totals.pin_wait_ns / 1e9:,.2f}",
    "while a CPU idles %": lambda p: f"{p.beside_idle_percent:.0f}" if p.point.totals.pin_waits else "-",
    "CPUs idle %": "point.idle_percent:.1f",
}


def measure_price(runner: Runner, experiment: Experiment, case: str) -> Price:
    """Make a run with an event log; `case` says what its slots are."""
    experiment = replace(experiment, events="full")
    waits, beside_idle = sql(
        [runner.run(experiment).path],
        "SELECT count(*), count(*) FILTER (WHERE value > 0) FROM events WHERE event = 'pin_wait'",
    ).row(0)
    return Price(runner.bounded_point(experiment, case), 100.0 * beside_idle / max(waits, 1))


def describe_prices(found: Sequence[Price], workload: str) -> str:
    """Say in one sentence what the design pays in a workload."""
    pays: dict[str, list[str]] = {}
    for price in found:
        if price.point.allocator == ALLOCATOR:
            p, totals = price.point, price.point.totals
            words = (
                f"{totals.wall_ns / p.lower.wall_ns:.2f} times (tasks wait for their own CPU "
                f"{totals.pin_waits:,} times, {totals.pin_wait_ns / 1e9:.2f} s of task time, "
                f"{price.beside_idle_percent:.0f} % of the waits beginning while another CPU is idle)"
            )
            pays.setdefault(words, []).append(p.case)
    each = "; ".join(f"{words} with {' or '.join(cases)}" for words, cases in pays.items())
    first, other = found[0].point, found[-1].point
    return (
        f"{workload} takes as long as where mapping costs nothing {each}. It takes "
        f"{first.address_space_pages:,} pages of address space or more; {first.hit_percent:.0f} % of maps "
        f"hit, with {first.per_map(first.totals.local_flushes):.2f} local invalidations and "
        f"{first.per_map(first.totals.walks):.2f} page-table walks each ({other.allocator}, {other.case}: "
        f"{other.hit_percent:.0f} %, {other.per_map(other.totals.local_flushes):.2f} and "
        f"{other.per_map(other.totals.walks):.2f})."
    )


def _experiment(workload: str, machine: str, cpus: int, allocator: str, **options: int | str) -> Experiment:
    # All workloads are made for 16 CPUs, whatever the machine has.
    changes = scale_tasks(workload, MACHINES[0], cpus)
    operations = _OPERATIONS_PER_CPU[workload] * cpus
    return Experiment(workload, allocator, machine, operations, changes, options, cpus)


def _scaling(runner: Runner) -> Iterator[Point]:
    """Every case with each number of CPUs."""
    for cpus in CPUS:
        for machine in MACHINES:
            for workload in ("kernel_build", "read_one_byte_files"):
                for allocator in (ALLOCATOR, POOL):
                    run = _experiment(workload, machine, cpus, allocator)
                    yield runner.bounded_point(run, f"{workload} on {machine}")
        for slots in _STORM_SLOTS_PER_CPU:
            run = _experiment("fault_storm", MACHINES[0], cpus, ALLOCATOR, slots_per_cpu=slots)
            yield runner.bounded_point(run, f"fault_storm on {MACHINES[0]}, {slots} slots per CPU")


def _prices(runner: Runner, workload: str) -> list[Price]:
    fewest, more = _STORM_SLOTS_PER_CPU
    return [
        measure_price(runner, _experiment(workload, MACHINES[0], 16, allocator, **options), case)
        for allocator, case, options in (
            (ALLOCATOR, f"{fewest} slots per CPU", {"slots_per_cpu": fewest}),
            (ALLOCATOR, f"{more} slots per CPU", {"slots_per_cpu": more}),
            (
                ALLOCATOR,
                f"{fewest} slots per CPU waited for unpinned",
                {"slots_per_cpu": fewest, "wait_pinned": "false"},
            ),
            (POOL, "1024 slots", {"slots": 1024}),
        )
    ]


def verdict(runner: Runner) -> Verdict:
    """Give both workloads more and more CPUs; then see what is paid on sixteen."""
    points = sorted(_scaling(runner), key=lambda p: p.case)
    outcome, because = judge(points)
    found = {workload: _prices(runner, workload) for workload in ("kernel_build", "fault_storm")}
    paid = " ".join(describe_prices(prices, workload) for workload, prices in found.items())
    costs = "; ".join(
        describe_costs(machine, "pte_write_ns", "invalidate_ns", "walk_ns") for machine in MACHINES
    )
    return Verdict(
        "A per-CPU pinned pool scales completely, without lock, IPI or global flush; and what it costs",
        "A. Arcangeli, linux-kernel, March 2002",
        outcome,
        f"{because} What it costs on {MACHINES[0]}: {paid}",
        f"Workloads kernel_build, read_one_byte_files and fault_storm; profiles {' and '.join(MACHINES)}; "
        "closed loop, seed 0",
        [
            Table.of(points, _COLUMNS),
            *(
                Table.of(
                    prices,
                    _PRICE_COLUMNS,
                    f"What it costs in {workload} on 16 CPUs of {MACHINES[0]}; {LOWER} takes "
                    f"{prices[0].point.lower.wall_ns / 1e9:.3f} s:",
                )
                for workload, prices in found.items()
            ),
        ],
        "the CPUs of the profile, with as many tasks and operations for each; then, on 16 CPUs of "
        f"{MACHINES[0]}, the slots of each CPU. The bound is {LOWER}, for which mapping costs nothing, on "
        "the same trace with as many CPUs: what the workload itself loses by waiting is not put down to a "
        "design. A CPU's tasks ask as often on both machines.",
        "how often and how long mappings block, which decides how long tasks wait for their CPU; the "
        f"scheduler's one queue; {costs}.",
        _experiment("fault_storm", MACHINES[0], 16, ALLOCATOR).commands(),
    )
