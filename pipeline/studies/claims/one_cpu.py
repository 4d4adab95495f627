"""Claim (f): a small one-CPU machine prefers the persistent pool with invlpg in the pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.io.numbers import format_fixed
from pipeline.machine.profile import load_profile
from pipeline.runs.figures import busy_ns, cpu_ns, hit_percent, maps
from pipeline.schema.run import Totals
from pipeline.studies.claims.bench import Bench, Experiment, prices, tasks_per_cpu
from pipeline.studies.claims.bench_verdict import Figures, Outcome, Verdict

FAVOURED = "global_pool_invlpg"
FLUSHING = "global_pool"
BOUND = "direct_map"
LAPTOP = "laptop-up-2002"
_OPERATIONS = 60_000
_SLOTS = (128, 1024, 4096)
# Zipf exponents of the laptop's pages; its own lies between.
_SKEWS = (0.8, 1.2, 2.0)
_UNCACHED = ("atomic", "percpu_pinned")

SEVERAL = "smp8-2002"
_SEVERAL_CPUS = (1, 2, 4, 8, 16)
_SEVERAL_OPERATIONS_PER_CPU = 16_000
_SEVERAL_SLOTS = 512
# Of 4 KB pages: 64 for data and 32 for instructions (Intel, P6 family).
_TLB_ENTRIES = 96


@dataclass(frozen=True)
class MapCost:
    """CPU time that one design adds to a map on one CPU, over a machine where mapping costs nothing; ns."""

    skew: float
    slots: int | None
    """None: the design has no cache."""
    allocator: str
    hit_percent: float
    per_map_ns: float
    map_and_unmap_ns: float
    scan_ns: float
    flush_ns: float
    """Whole-TLB flushes, and single invalidations wherever they are made."""
    rest_ns: float
    """Page-table walks at first touches, and what switches differ by."""
    freed_per_pass: float | None


def map_cost(skew: float, slots: int | None, allocator: str, totals: Totals, bound: Totals) -> MapCost:
    """Figures of one run beside the bound's run of the same trace."""
    count = maps(totals)
    own_ns, scan_ns, flush_ns = (cpu_ns(totals, (part,)) for part in ("critical", "scan", "flush"))
    added_ns = busy_ns(totals) - busy_ns(bound)
    return MapCost(
        skew,
        slots,
        allocator,
        hit_percent(totals),
        added_ns / count,
        own_ns / count,
        scan_ns / count,
        flush_ns / count,
        (added_ns - own_ns - scan_ns - flush_ns) / count,
        totals.freed / totals.scans if totals.scans else None,
    )


def judge(costs: Sequence[MapCost]) -> tuple[Outcome, str]:
    """Compare the favoured pool, at each popularity and size, with what has no cache and with a flush."""
    favoured = [c for c in costs if c.allocator == FAVOURED]
    flushing = {(c.skew, c.slots): c for c in costs if c.allocator == FLUSHING}
    dearer_ns = [own.per_map_ns - flushing[own.skew, own.slots].per_map_ns for own in favoured]
    than_flush = [ns for ns in dearer_ns if ns < 0.0]
    than_uncached = [
        own
        for own in favoured
        if own.per_map_ns < min(c.per_map_ns for c in costs if c.skew == own.skew and c.slots is None)
    ]
    # A pool that never wraps makes no pass, with or without invlpg.
    wrapping = [own for own in favoured if own.freed_per_pass is not None]
    said = (
        f"of {len(favoured)} combinations of popularity and slots, a map costs less CPU time than in any "
        f"design without a cache in {len(than_uncached)}"
    )
    missed = [own for own in favoured if own not in than_uncached]
    if missed and than_uncached:
        said += f" (not where at most {max(own.hit_percent for own in missed):.0f} % hit)"
    said += (
        f"; and less than in the same pool with one flush at the end of its pass in {len(than_flush)} of the "
        f"{len(wrapping)} in which the pool wraps at all: invlpg makes a map {min(dearer_ns):+,.0f} to "
        f"{max(dearer_ns):+,.0f} ns dearer."
    )
    if len(than_uncached) == len(favoured) and len(than_flush) == len(wrapping) > 0:
        return "holds", said[0].upper() + said[1:]
    if than_uncached or than_flush:
        return "depends", f"On what it is compared with: {said}"
    return "does not hold", said[0].upper() + said[1:]


def break_even(costs: Sequence[MapCost]) -> str:
    """Say how dear a flush would have to be for invlpg in the pass to be cheaper, by the profile's prices."""
    priced = load_profile(LAPTOP).costs
    flush_ns = priced["tlb_flush_ns"].value + priced["tlb_refill_ns"].value
    one_ns = priced["invalidate_ns"].value
    whole_ns = _TLB_ENTRIES * priced["walk_ns"].value
    freed = [c.freed_per_pass for c in costs if c.allocator == FAVOURED and c.freed_per_pass is not None]
    said = (
        f"By the profile a flush with its refill costs {flush_ns / 1e3:.1f} us and an invlpg "
        f"{one_ns / 1e3:.1f}"
    )
    if not freed:
        return said + "; no pool tried wraps."
    return (
        f"{said}: a pass that frees {min(freed):,.0f} to {max(freed):,.0f} slots would need a flush of "
        f"{min(freed) * one_ns / 1e3:,.0f} to {max(freed) * one_ns / 1e3:,.0f} us to be the cheaper one, and "
        f"walking for all {_TLB_ENTRIES} entries of a Pentium III's TLBs takes {whole_ns / 1e3:.0f} us."
    )


@dataclass(frozen=True)
class Pass:
    """Passes of one design with so many CPUs."""

    allocator: str
    cpus: int
    passes: int
    locked_us: float | None
    """Mean time from the beginning of a pass to its end on all CPUs, under the lock; None without one."""
    stolen_us: float | None
    """Mean CPU time that a pass takes from the other CPUs together."""
    wall_s: float


def passes(allocator: str, cpus: int, totals: Totals) -> Pass:
    """Figures of one run."""

    def mean_us(*categories: str) -> float | None:
        return cpu_ns(totals, categories) / totals.scans / 1e3 if totals.scans else None

    return Pass(
        allocator, cpus, totals.scans, mean_us("scan", "flush"), mean_us("interrupted"), totals.wall_ns / 1e9
    )


def rejection(found: Sequence[Pass]) -> str:
    """Say what a pass with invlpg costs on all CPUs, beside one with a flush."""
    pairs = [
        (own, other)
        for own in found
        for other in found
        if own.allocator == FAVOURED and other.allocator == FLUSHING and own.cpus == other.cpus
    ]
    said = [
        f"{own.locked_us:,.0f} us against {other.locked_us:,.0f} on {own.cpus}"
        for own, other in pairs
        if own.locked_us is not None and other.locked_us is not None
    ]
    return f"On {SEVERAL} a pass holds the lock for {', '.join(said)}." if said else f"No pass on {SEVERAL}."


def _laptop(skew: float, allocator: str, slots: int | None) -> Experiment:
    return Experiment(
        "laptop",
        allocator,
        LAPTOP,
        _OPERATIONS,
        {"page_sets.highmem.skew": skew},
        {} if slots is None else {"slots": slots},
    )


def _costs(bench: Bench) -> list[MapCost]:
    costs = []
    for skew in _SKEWS:
        bound = bench.manifest(_laptop(skew, BOUND, None)).totals
        tried = [(allocator, slots) for slots in _SLOTS for allocator in (FAVOURED, FLUSHING)]
        for allocator, slots in [*tried, *((allocator, None) for allocator in _UNCACHED)]:
            totals = bench.manifest(_laptop(skew, allocator, slots)).totals
            costs.append(map_cost(skew, slots, allocator, totals, bound))
    return costs


def _several(bench: Bench) -> list[Pass]:
    found = []
    for cpus in _SEVERAL_CPUS:
        changes = tasks_per_cpu("kernel_build", "numaq16", cpus)
        for allocator in (FAVOURED, FLUSHING):
            experiment = Experiment(
                "kernel_build",
                allocator,
                SEVERAL,
                _SEVERAL_OPERATIONS_PER_CPU * cpus,
                changes,
                {"slots": _SEVERAL_SLOTS},
                cpus,
            )
            found.append(passes(allocator, cpus, bench.manifest(experiment).totals))
    return found


def verdict(bench: Bench) -> Verdict:
    """Add up what a map costs on the laptop; then make the same pass on several CPUs."""
    costs = _costs(bench)
    outcome, because = judge(costs)
    several = _several(bench)
    shown = _laptop(_SKEWS[1], FAVOURED, _SLOTS[1])
    return Verdict(
        "A small one-CPU machine prefers the persistent pool with invlpg in the pass",
        "linux-kernel, March 2002; A. Arcangeli, against the same pass on several CPUs: 'it would take too "
        "long to run such pass in all cpus'",
        outcome,
        f"{because} {break_even(costs)} {rejection(several)}",
        f"{shown.conditions()}. Several CPUs: workload kernel_build, profile {SEVERAL}, closed loop, seed 0",
        (
            "skew", "slots", "design", "hit rate %", "CPU ns per map", "map and unmap", "passes",
            "flushes and invlpg", "walks and rest", "slots freed by a pass",
        ),
        [
            (
                f"{c.skew:g}", "-" if c.slots is None else f"{c.slots:,}", c.allocator,
                f"{c.hit_percent:.1f}",
                f"{c.per_map_ns:,.0f}", f"{c.map_and_unmap_ns:,.0f}", f"{c.scan_ns:,.1f}",
                f"{c.flush_ns:,.1f}", f"{c.rest_ns:,.0f}",
                "-" if c.freed_per_pass is None else f"{c.freed_per_pass:,.0f}",
            )
            for c in costs
        ],
        further=[
            Figures(
                f"The same pass on several CPUs of {SEVERAL}, {_SEVERAL_SLOTS} slots, three compile jobs for "
                "each CPU:",
                (
                    "design", "CPUs", "passes", "a pass holds the lock us", "taken from the other CPUs us",
                    "wall s",
                ),
                [
                    (
                        p.allocator, str(p.cpus), f"{p.passes:,}", format_fixed(p.locked_us, 1),
                        format_fixed(p.stolen_us, 1), f"{p.wall_s:.3f}",
                    )
                    for p in several
                ],
            )
        ],
        varied="how popular the laptop's pages are, the slots of both pools, and the design; then the CPUs. "
        f"The CPU time of a map is what the run takes more than one through {BOUND} of the same trace.",
        assumed="the workload of the laptop; "
        + prices(LAPTOP, "invalidate_ns", "tlb_flush_ns", "tlb_refill_ns", "scan_slot_ns", "shared_entry_ns")
        + ".",
        commands=shown.commands(),
    )  # fmt: skip
