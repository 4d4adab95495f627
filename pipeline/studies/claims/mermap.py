"""Claims (l) and (m), of the mermap: a few entries for each process and CPU do; its flushes are cheap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from pipeline.io.numbers import join_words
from pipeline.statistics import Estimate, mean, paired_difference
from pipeline.studies.experiment import Experiment, change_costs, describe_costs, describe_profile_sources
from pipeline.studies.point import Point
from pipeline.studies.runner import Runner
from pipeline.studies.verdict import Columns, Outcome, Table, Verdict, outcome_of

ALLOCATOR = "mermap"
POOL = "global_pool"
SOURCE = "B. Jackman, mm/mermap.c, 2026"
REPLICATIONS = 5
# A map in a thousand: what a way to fall back may cost some hundred times as much for.
SELDOM_PERCENT = 0.1
# Pages of a region and entries: the design's own, then one of them otherwise.
_SIZES = ((64, 4), (16, 4), (256, 4), (64, 1), (64, 16))
_FITTING = _SIZES[0]

_SEEDS = f"closed loop, seed 0 and replications with seeds 1 to {REPLICATIONS - 1}"
CPUS = 16
_START = (
    "The first time round a region needs no flush: where a trace is too short to go round many times, there "
    "are fewer than one for each 64 maps."
)


@dataclass(frozen=True)
class Failing:
    """How often maps fail in one trace with one size of regions, by the replications."""

    trace: str
    region_pages: int
    entries: int
    points: Sequence[Point]
    comparisons: int = 1

    @property
    def percent(self) -> Estimate:
        """Share of maps that fall back, %."""
        shares = [100.0 * p.per_map(p.totals.fallbacks) for p in self.points]
        return replace(mean(shares), comparisons=self.comparisons)

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of its interval, %; a share is not negative."""
        low, high = bounds(self.percent)
        return max(low, 0.0), high

    @property
    def seldom(self) -> bool | None:
        """Whether maps seldom fail; None if the replications do not tell."""
        low, high = self.interval
        return True if high <= SELDOM_PERCENT else False if low > SELDOM_PERCENT else None

    @property
    def flushes_per_1000(self) -> float:
        """Flushes of the own TLB for every 1,000 maps, on the mean."""
        return mean([p.per_1000(p.totals.full_local_flushes) for p in self.points]).value


def bounds(estimate: Estimate) -> tuple[float, float]:
    """Both ends of an estimate's interval; the value itself where there is none."""
    half = estimate.half_width or 0.0
    return estimate.value - half, estimate.value + half


def judge_failing(found: Sequence[Failing]) -> tuple[Outcome, str]:
    """In each trace maps must seldom fail with regions as the author made them."""
    own = [f for f in found if (f.region_pages, f.entries) == _FITTING]
    seldom = [f for f in own if f.seldom]
    often = [f for f in own if f.seldom is False]
    untold = [f for f in own if f.seldom is None]
    outcome = outcome_of(len(seldom), len(own))
    words = f"With {_FITTING[1]} entries and {_FITTING[0]} pages, of 100 maps fall back: " + "; ".join(
        f"{f.trace} {f.percent.value:.3g}" for f in own
    )
    if outcome == "depends":
        failing = "; ".join(f.trace for f in [*often, *untold])
        words = f"On how many threads of a process share a CPU (not seldom: {failing}). {words}"
    if untold:
        words += f" ({join_words(f.trace for f in untold)}: the replications do not tell)"
    return outcome, f"{words}. {_compare_sizes(found)}"


def _compare_sizes(found: Sequence[Failing]) -> str:
    """In how many traces maps seldom fail, by sizes."""
    by_size: dict[tuple[int, int], list[Failing]] = {}
    for f in found:
        by_size.setdefault((f.region_pages, f.entries), []).append(f)
    each = join_words(
        f"{sum(f.seldom is True for f in some)} with {entries} {'entry' if entries == 1 else 'entries'} "
        f"and {pages} pages"
        for (pages, entries), some in by_size.items()
    )
    return f"Of {len(next(iter(by_size.values())))} traces they seldom do in {each}."


_FAILING_COLUMNS: Columns = {
    "trace": "trace",
    "pages": "region_pages",
    "entries": "entries",
    "maps that fall back %": lambda f: f"{f.percent.value:.3g}",
    "interval": lambda f: "{:.3g} to {:.3g}".format(*f.interval) if len(f.points) > 1 else "-",
    "seldom": lambda f: {True: "yes", False: "no", None: "not told"}[f.seldom],
    "flushes of the own TLB per 1,000 maps": "flushes_per_1000:.2f",
}


def _fault_storm(threads: int) -> Experiment:
    changes = {"threads_per_process": threads}
    return Experiment("fault_storm", ALLOCATOR, "numaq16", 40_000, changes, {}, CPUS)


def _kernel_build(machine: str, allocator: str, threads: int = 1, slots: int = 0) -> Experiment:
    options = {"slots": slots} if slots else {}
    changes = {"threads_per_process": threads}
    # They take CPU time of their own, of the sort that flushes of others take.
    quiet = change_costs(interrupt_gap_ns=0) if machine == "numaq16" else {}
    return Experiment("kernel_build", allocator, machine, 150_000, changes, options, CPUS, quiet)


_TRACES: Mapping[str, Experiment] = {
    "kernel_build": _kernel_build("modern-x86-64", ALLOCATOR),
    "kernel_build, 12 threads to a process": _kernel_build("modern-x86-64", ALLOCATOR, 12),
    "fault_storm": _fault_storm(1),
    "fault_storm, 12 threads to a process": _fault_storm(12),
    "fault_storm, one process": _fault_storm(1_500),
    "recording local": Experiment("local", ALLOCATOR, "modern-x86-64", cpus=CPUS, recorded=True),
}


def replicate(runner: Runner, experiment: Experiment, case: str = "") -> list[Point]:
    """Figures of an experiment and of its replications; a recording is replayed once, as it has no draws."""
    seeds = range(1 if experiment.recorded else REPLICATIONS)
    return [runner.point(replace(experiment, seed=seed), case) for seed in seeds]


def few_mappings_verdict(runner: Runner) -> Verdict:
    """Replay traces of tasks that have an address space each, and of such that share it, in five sizes."""
    found = [
        Failing(
            trace,
            pages,
            entries,
            replicate(runner, replace(run, options={"region_pages": pages, "entries": entries})),
            len(_TRACES),
        )
        for trace, run in _TRACES.items()
        for pages, entries in _SIZES
    ]
    return Verdict(
        "There can only ever be few mappings, so that a mermap of 4 entries for each process and CPU seldom "
        "fails",
        SOURCE,
        *judge_failing(found),
        f"Workloads kernel_build and fault_storm, and the recording local; profiles "
        f"{describe_profile_sources('modern-x86-64')}, of fault_storm "
        f"{describe_profile_sources('numaq16')}; 16 CPUs; {_SEEDS}, the recording once",
        [Table.of(found, _FAILING_COLUMNS)],
        "trace, threads of a process, pages of a region and entries. Seldom is at most one map in a "
        f"thousand, told from {REPLICATIONS} replications, with intervals that hold for all traces together. "
        f"{_START}",
        "how long uses block with a page mapped, which decides how many are mapped at once; that a map which "
        "fails uses a pool at once, and a task does not wait for an entry.",
        _TRACES["fault_storm, 12 threads to a process"].commands(),
    )


@dataclass(frozen=True)
class Beside:
    """The mermap and the pool in the same compiles, by the replications."""

    case: str
    own: Sequence[Point]
    pool: Sequence[Point]
    comparisons: int = 1

    def rate(self, points: Sequence[Point], count: Callable[[Point], int]) -> float:
        """A count per second of simulated time, on the mean."""
        return mean([count(p) / p.wall_s for p in points]).value

    @property
    def dearer_ns(self) -> Estimate:
        """CPU time that a map takes more than with the pool for flushes, passes and interrupts, ns."""
        own, pool = ([flushing_ns(p) for p in points] for points in (self.own, self.pool))
        difference = paired_difference(own, pool)
        return replace(difference, comparisons=self.comparisons)

    @property
    def cheaper(self) -> bool | None:
        """Whether the mermap flushes for less; None if the replications do not tell."""
        low, high = bounds(self.dearer_ns)
        return True if high < 0 else False if low > 0 else None

    @property
    def gain(self) -> float:
        """Throughput over the pool's, on the mean."""
        pairs = zip(self.own, self.pool, strict=True)
        return mean([own.maps_per_s / pool.maps_per_s for own, pool in pairs]).value


def flushing_ns(point: Point) -> float:
    """CPU time of flushes, passes and interrupts, of all CPUs, for each map, ns."""
    return point.per_map(point.cpu_ns("flush", "scan", "interrupted"))


def judge_flushing(found: Sequence[Beside]) -> tuple[Outcome, str]:
    """Everywhere the own flushes must take less CPU time than what the pool's take from all CPUs."""
    cheaper = [b for b in found if b.cheaper]
    dearer = [b.case for b in found if b.cheaper is False]
    untold = [b.case for b in found if b.cheaper is None]
    outcome = outcome_of(len(cheaper), len(found))
    lead = ""
    if outcome == "depends":
        lead = f"On how often the pool flushes (dearer: {'; '.join(dearer) or 'nowhere'}). "
    told = f" The replications do not tell in {'; '.join(untold)}." if untold else ""
    least, most = min(found, key=lambda b: b.gain), max(found, key=lambda b: b.gain)
    interrupts = sum(p.totals.ipis for b in found for p in b.own)
    return outcome, (
        f"{lead}Flushing takes less CPU time for each map in {len(cheaper)} of {len(found)} compiles.{told} "
        f"The mermap sends {interrupts:,} IPIs. Throughput is {least.gain:.3f} ({least.case}) to "
        f"{most.gain:.3f} times ({most.case}) that of the pool."
    )


_BESIDE_COLUMNS: Columns = {
    "compile": "case",
    "flushes of the own TLB/s": lambda b: f"{b.rate(b.own, lambda p: p.totals.full_local_flushes):,.0f}",
    "pool's flushes/s": lambda b: f"{b.rate(b.pool, lambda p: p.totals.flushes):,.0f}",
    "pool's IPIs/s": lambda b: f"{b.rate(b.pool, lambda p: p.totals.ipis):,.0f}",
    "flushing ns/map": lambda b: f"{mean([flushing_ns(p) for p in b.own]).value:,.1f}",
    "pool's flushing ns/map": lambda b: f"{mean([flushing_ns(p) for p in b.pool]).value:,.1f}",
    "difference": lambda b: "{:,.1f} to {:,.1f}".format(*bounds(b.dearer_ns)),
    "walks/map": lambda b: f"{mean([p.per_map(p.totals.walks) for p in b.own]).value:.2f}",
    "pool's walks/map": lambda b: f"{mean([p.per_map(p.totals.walks) for p in b.pool]).value:.2f}",
    "throughput / pool's": "gain:.3f",
}
_MACHINES = ("numaq16", "modern-x86-64", "modern-amd-invlpgb")
# The kernel's pool, and one so small that the compile wraps it often.
_SLOTS = (1024, 128)


def own_flushes_verdict(runner: Runner) -> Verdict:
    """Put the mermap beside two pools, with interrupts of 2002 and of today, and without any."""
    cases = list(product(_MACHINES, _SLOTS))
    found = []
    for machine, slots in cases:
        case = f"{machine}, {slots:,} slots"
        own = replicate(runner, _kernel_build(machine, ALLOCATOR), case)
        pool = replicate(runner, _kernel_build(machine, POOL, slots=slots), case)
        found.append(Beside(case, own, pool, len(cases)))
    costs = describe_costs(_MACHINES[1], "tlb_flush_ns", "tlb_refill_ns", "ipi_send_ns", "ipi_handler_ns")
    return Verdict(
        "Flushing the own TLB before reuse takes less CPU time than interrupting others for a shared pool",
        f"{SOURCE}; of the idea, A. Arcangeli, March 2002",
        *judge_flushing(found),
        "Workload kernel_build, a process for each task; profiles "
        f"{', '.join(map(describe_profile_sources, _MACHINES))}, without device interrupts; {CPUS} CPUs; "
        f"{_SEEDS}",
        [Table.of(found, _BESIDE_COLUMNS)],
        "machine and slots of the pool; regions of 64 pages. Flushing is flushes, passes and interrupts, "
        "with what they refill; page-table walks and PTEs are beside it. A difference is told from "
        f"{REPLICATIONS} replications in pairs, with intervals that hold for all compiles together. {_START}",
        "that a flush takes as long to refill wherever it was asked for, and a broadcast one nothing from "
        f"the other CPUs; {costs}.",
        _kernel_build(_MACHINES[1], ALLOCATOR).commands(),
    )
