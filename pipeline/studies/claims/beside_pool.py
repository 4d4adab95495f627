"""Claims (g) to (k): single allocators beside the kernel's pool in the same compile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from pipeline.schema.run import Totals
from pipeline.studies.experiment import Experiment, describe_costs, describe_profile_sources, scale_tasks
from pipeline.studies.point import Point
from pipeline.studies.runner import Runner
from pipeline.studies.verdict import Columns, Outcome, Table, Verdict, outcome_of

POOL = "global_pool"
WORKLOAD = "kernel_build"
MACHINES = ("numaq16", "smp8-2002", "modern-x86-64")
CPUS = (4, 16, 64)
# The kernel's pool, and one so small that the compile wraps it often.
SLOTS = (1024, 128)
_OPERATIONS_PER_CPU = 1_500
# The workload is made for as many CPUs as this machine has.
_MADE_FOR = "numaq16"

COLUMNS: Columns = {
    "compile": "case",
    "design": "allocator",
    "maps/s": "maps_per_s:,.0f",
    "hit rate %": "hit_percent:.1f",
    "longest hold us": "longest_hold_us:,.1f",
    "global or directed flushes": "totals.flushes:,",
    "IPIs": "totals.ipis:,",
    "flushes of the own TLB": "totals.full_local_flushes:,",
    "sleeps": "totals.sleeps:,",
    "waits for the own CPU": "totals.pin_waits:,",
}


@dataclass(frozen=True)
class Pair:
    """One compile through an allocator and through the pool."""

    own: Point
    pool: Point

    @property
    def case(self) -> str:
        """Machine, CPUs and slots, in words."""
        return self.own.case

    @property
    def gain(self) -> float:
        """The allocator's throughput over the pool's."""
        return self.own.maps_per_s / self.pool.maps_per_s


Case = tuple[str, Experiment, int]
"""A compile in words, its run through the allocator, and the slots of the pool beside it."""


@dataclass(frozen=True)
class PoolClaim:
    """What is claimed of one allocator, and the compiles that decide."""

    allocator: str
    claim: str
    source: str
    judge: Callable[[Sequence[Pair]], tuple[Outcome, str]]
    cases: Callable[[str], Iterable[Case]]
    varied: str
    assumed: str
    costs: tuple[str, ...]
    """Costs that decide."""

    def verdict(self, runner: Runner) -> Verdict:
        """Make each compile, and the same with the pool."""
        cases = list(self.cases(self.allocator))
        pairs = [
            Pair(
                runner.point(own, case),
                runner.point(replace(own, allocator=POOL, options={"slots": slots}), case),
            )
            for case, own, slots in cases
        ]
        outcome, because = self.judge(pairs)
        return Verdict(
            self.claim,
            self.source,
            outcome,
            because,
            f"Workload {WORKLOAD}; profiles {', '.join(map(describe_profile_sources, MACHINES))}; closed "
            "loop, seed 0",
            [Table.of([point for pair in pairs for point in (pair.own, pair.pool)], COLUMNS)],
            self.varied,
            f"{self.assumed}{describe_costs(MACHINES[0], *self.costs)}.",
            cases[0][1].commands(),
        )


def _compile(allocator: str, machine: str, cpus: int, slots: int, **changes: int) -> Experiment:
    """A compile with as many tasks and operations for each CPU; `slots` as the allocator counts them."""
    return Experiment(
        WORKLOAD,
        allocator,
        machine,
        _OPERATIONS_PER_CPU * cpus,
        {**scale_tasks(WORKLOAD, _MADE_FOR, cpus), **changes},
        {"slots": slots},
        cpus,
    )


def _vary_slots(allocator: str) -> Iterable[Case]:
    for machine, cpus, slots in product(MACHINES, CPUS, SLOTS):
        case = f"{cpus} CPUs of {machine}, {slots:,} slots"
        yield case, _compile(allocator, machine, cpus, slots), slots


def _vary_slots_per_cpu(allocator: str) -> Iterable[Case]:
    for machine, cpus, slots in product(MACHINES, CPUS, (64, 16)):
        case = f"{cpus} CPUs of {machine}, {slots} slots for each"
        yield case, _compile(allocator, machine, cpus, slots), slots * cpus


def _vary_threads(allocator: str) -> Iterable[Case]:
    for machine, cpus, threads in product(MACHINES, CPUS, (1, 12)):
        case = f"{cpus} CPUs of {machine}, {threads} thread{'s' * (threads > 1)} to a process"
        yield case, _compile(allocator, machine, cpus, 64, threads_per_process=threads), 1024


def _sums(pairs: Sequence[Pair], count: Callable[[Totals], int]) -> tuple[int, int]:
    """A count of all compiles together: the allocator's and the pool's."""
    return sum(count(pair.own.totals) for pair in pairs), sum(count(pair.pool.totals) for pair in pairs)


def _gains(pairs: Sequence[Pair]) -> str:
    """Throughput over the pool's: the least and the most, with where."""
    least, most = min(pairs, key=lambda p: p.gain), max(pairs, key=lambda p: p.gain)
    return (
        f"Throughput is {least.gain:.2f} ({least.case}) to {most.gain:.2f} times ({most.case}) that of the "
        "pool"
    )


def judge_process_pool(pairs: Sequence[Pair]) -> tuple[Outcome, str]:
    """Nobody may be pinned or interrupted in any case."""
    others = [p for p in pairs if p.own.totals.ipis + p.own.totals.pin_waits]
    free = len(pairs) - len(others)
    if not others:
        return "holds", f"No IPI and no wait for the own CPU in {free} compiles. {_gains(pairs)}."
    own_ipis, pool_ipis = _sums(others, lambda t: t.ipis)
    waits, _ = _sums(others, lambda t: t.pin_waits)
    interrupted = (
        f"{own_ipis:,} IPIs in {len(others)} compiles ({'; '.join(p.case for p in others)}), by the pool's "
        f"flushes {pool_ipis:,}; {waits:,} waits for the own CPU"
    )
    if free:
        interrupted = f"On how many threads share a process: {interrupted}; none in the other {free}"
    return outcome_of(free, len(pairs)), f"{interrupted}. {_gains(pairs)}."


def judge_unlocked_flush(pairs: Sequence[Pair]) -> tuple[Outcome, str]:
    """The longest hold must be shorter than the pool's wherever both flush."""
    flushing = [p for p in pairs if p.own.totals.flushes and p.pool.totals.flushes]
    longer = [p.case for p in flushing if p.own.longest_hold_us >= p.pool.longest_hold_us]
    shorter = len(flushing) - len(longer)
    outcome = outcome_of(shorter, len(flushing))
    own_sleeps, pool_sleeps = _sums(pairs, lambda t: t.sleeps)
    lead = f"On what else makes a hold long (not in {'; '.join(longer)}): " if outcome == "depends" else ""
    return outcome, (
        f"{lead}In {shorter} of the {len(flushing)} compiles in which both designs flush, the longest hold "
        f"is shorter than the pool's. {_gains(pairs)}: better in {sum(p.gain > 1.01 for p in pairs)}, worse "
        f"in {sum(p.gain < 0.99 for p in pairs)}, of {len(pairs)}. Tasks sleep {own_sleeps:,} times, in the "
        f"pool {pool_sleeps:,}."
    )


def judge_cpu_cache(pairs: Sequence[Pair]) -> tuple[Outcome, str]:
    """No CPU may be interrupted, at 4 bytes for each CPU."""

    def missed(pair: Pair) -> float:
        return pair.own.totals.misses / max(pair.pool.totals.misses, 1)

    good = sum(
        not p.own.totals.ipis + p.own.totals.flushes and p.own.page_struct_bytes == 4 * p.own.cpus
        for p in pairs
    )
    dearest = max((p.own for p in pairs), key=lambda own: own.page_struct_bytes)
    worst = max(pairs, key=missed)
    ipis, _ = _sums(pairs, lambda t: t.ipis)
    flushes, _ = _sums(pairs, lambda t: t.full_local_flushes)
    return outcome_of(good, len(pairs)), (
        f"{ipis:,} IPIs, and {flushes:,} flushes of the own TLB, in {len(pairs)} compiles; "
        f"{dearest.page_struct_bytes} bytes in every struct page for {dearest.cpus} CPUs. Pages that several "
        f"CPUs use miss on each: up to {missed(worst):.1f} times as many misses as in the pool "
        f"({worst.case}). {_gains(pairs)}."
    )


def judge_epochs(pairs: Sequence[Pair]) -> tuple[Outcome, str]:
    """Fewer CPUs must be interrupted than by the pool's flushes, wherever those are."""
    flushing = [p for p in pairs if p.pool.totals.ipis or p.own.totals.ipis]
    fewer = sum(p.own.totals.ipis < p.pool.totals.ipis for p in flushing)
    misses, _ = _sums(pairs, lambda t: t.misses)
    spared, _ = _sums(pairs, lambda t: t.misses - t.flushes)
    switches, _ = _sums(pairs, lambda t: t.switches)
    own_ipis, pool_ipis = _sums(pairs, lambda t: t.ipis)
    return outcome_of(fewer, len(flushing)), (
        f"Of {misses:,} misses {100.0 * spared / max(misses, 1):.0f} % interrupt nobody, with {switches:,} "
        f"switches in all; yet {own_ipis:,} IPIs are sent and by the pool's flushes {pool_ipis:,}, fewer "
        f"than those in {fewer} of {len(flushing)} compiles in which there are any. {_gains(pairs)}."
    )


PROCESS_POOL = PoolClaim(
    "per_process",
    "A pool in the process's own page tables needs no pinning and no global flush",
    "R. van Riel; M. J. Bligh's UKVA, 2002-2003",
    judge_process_pool,
    _vary_threads,
    "machine, CPUs and threads; 64 slots for each process, 1,024 in the pool.",
    "",
    ("tlb_flush_ns", "tlb_refill_ns", "local_entry_ns"),
)
SPLIT_POOL = PoolClaim(
    "split_pool",
    "Flushing one half of the pool while slots are taken from the other keeps the flush out of the lock",
    "M. J. Bligh, 2002",
    judge_unlocked_flush,
    _vary_slots,
    "machine, CPUs and slots, with as many tasks and operations for each CPU.",
    "that a woken task waits behind computing ones for a CPU, which makes each sleep long; ",
    ("free_slot_ns", "tlb_flush_ns", "handoff_local_ns"),
)
DEFERRED_FLUSH = replace(
    SPLIT_POOL,
    allocator="deferred_flush",
    claim="The global flush need not be made with the lock held",
    source="H. Dickins",
)
CPU_CACHE = PoolClaim(
    "percpu_cached",
    "A cache for each CPU needs only local flushes, for 4 bytes per CPU in every struct page",
    "`page->virtual[NR_CPUS]`, linux-kernel, 2002",
    judge_cpu_cache,
    _vary_slots_per_cpu,
    "machine, CPUs and the slots of each; the pool has as many in all.",
    "that a pass over a CPU's own slots costs as much for each as one over the pool's, which is more than "
    "it should; ",
    ("free_slot_ns", "tlb_flush_ns", "tlb_refill_ns"),
)
EPOCHS = PoolClaim(
    "epoch_pool",
    "A slot can be used again without a flush where the address space has been switched since, so that "
    "fewer CPUs are interrupted",
    "M. J. Bligh, linux-kernel, July 2002",
    judge_epochs,
    _vary_slots,
    "machine, 4, 16, 64 CPUs, and slots.",
    "how often tasks wait and for how long they compute, which is how often a CPU switches; ",
    ("track_switch_ns", "timeslice_ns"),
)
