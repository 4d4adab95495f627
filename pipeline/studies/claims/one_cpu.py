"""Claim (f): a small one-CPU machine prefers the persistent pool with invlpg in the pass."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from pipeline.machine.profile import load_profile
from pipeline.studies.experiment import Experiment, describe_costs, scale_tasks
from pipeline.studies.point import Point
from pipeline.studies.runner import LOWER, Runner
from pipeline.studies.verdict import Columns, Outcome, Table, Verdict, capitalize

FAVOURED = "global_pool_invlpg"
FLUSHING = "global_pool"
LAPTOP = "laptop-up-2002"
_SLOTS = (128, 1024, 4096)
# Zipf exponents of the laptop's pages; its own lies between.
_SKEWS = (0.8, 1.2, 2.0)
_UNCACHED = ("atomic", "percpu_pinned")

SEVERAL = "smp8-2002"
_SEVERAL_CPUS = (1, 2, 4, 8, 16)
_SEVERAL_SLOTS = 512
# Of 4 KB pages: 64 for data and 32 for instructions (Intel, P6 family).
_TLB_ENTRIES = 96


def _slots(point: Point) -> int | None:
    """Slots of the cache; None: the allocator has none."""
    return None if point.allocator in _UNCACHED else int(point.options["slots"])


def rest_ns(point: Point) -> float:
    """CPU time of a map in page-table walks at first touches, and what switches differ by."""
    counted = point.cpu_ns("critical", "scan", "flush")
    return 1e3 * point.dearer_us - point.per_map(counted)


_COLUMNS: Columns = {
    "skew": "case",
    "slots": lambda p: "-" if _slots(p) is None else f"{_slots(p):,}",
    "design": "allocator",
    "hit rate %": "hit_percent:.1f",
    "CPU ns per map": lambda p: f"{1e3 * p.dearer_us:,.0f}",
    "map and unmap": lambda p: f"{p.per_map(p.cpu_ns('critical')):,.0f}",
    "passes": lambda p: f"{p.per_map(p.cpu_ns('scan')):,.1f}",
    # Whole-TLB flushes, and single invalidations wherever they are made.
    "flushes and invlpg": lambda p: f"{p.per_map(p.cpu_ns('flush')):,.1f}",
    "walks and rest": lambda p: f"{rest_ns(p):,.0f}",
    "slots freed by a pass": "freed_per_pass:,.0f",
}

_PASS_COLUMNS: Columns = {
    "design": "allocator",
    "CPUs": "cpus",
    "passes": "totals.scans:,",
    "a pass holds the lock us": "pass_us:,.1f",
    "taken from the other CPUs us": "stolen_us:,.1f",
    "wall s": "wall_s:.3f",
}


def judge(points: Sequence[Point]) -> tuple[Outcome, str]:
    """Compare the favoured pool, at each popularity and size, with what has no cache and with a flush.

    `points` stand beside `direct_map`; their cases are the popularities.
    """
    favoured = [p for p in points if p.allocator == FAVOURED]
    flushing = {(p.case, _slots(p)): p for p in points if p.allocator == FLUSHING}
    uncached = {
        p.case: min(other.dearer_us for other in points if other.case == p.case and _slots(other) is None)
        for p in favoured
    }
    dearer_ns = [1e3 * (p.dearer_us - flushing[p.case, _slots(p)].dearer_us) for p in favoured]
    than_flush = sum(ns < 0.0 for ns in dearer_ns)
    missed = [p.hit_percent for p in favoured if p.dearer_us >= uncached[p.case]]
    than_uncached = len(favoured) - len(missed)
    # A pool that never wraps makes no pass, with or without invlpg.
    wrapping = sum(p.totals.scans > 0 for p in favoured)
    unless = f" (not where at most {max(missed):.0f} % hit)" if missed and than_uncached else ""
    words = (
        f"of {len(favoured)} combinations of popularity and slots, a map costs less CPU time than in any "
        f"design without a cache in {than_uncached}{unless}; and less than in the same pool with one flush "
        f"at the end of its pass in {than_flush} of the {wrapping} in which the pool wraps at all: invlpg "
        f"makes a map {min(dearer_ns):+,.0f} to {max(dearer_ns):+,.0f} ns dearer."
    )
    if not missed and than_flush == wrapping > 0:
        return "holds", capitalize(words)
    if than_uncached or than_flush:
        return "depends", f"On what it is compared with: {words}"
    return "does not hold", capitalize(words)


def describe_break_even(points: Sequence[Point]) -> str:
    """Say how dear a flush would have to be for invlpg in the pass to be cheaper, by the profile's prices."""
    costs = {name: cost.value for name, cost in load_profile(LAPTOP).costs.items()}
    walks_us = _TLB_ENTRIES * costs["walk_ns"] / 1e3
    flush_us = (costs["tlb_flush_ns"] + costs["tlb_refill_ns"]) / 1e3
    one_us = costs["invalidate_ns"] / 1e3
    freed = [p.freed_per_pass for p in points if p.allocator == FAVOURED and p.totals.scans]
    words = f"By the profile a flush with its refill costs {flush_us:.1f} us and an invlpg {one_us:.1f}"
    if not freed:
        return f"{words}; no pool tried wraps."
    return (
        f"{words}: a pass that frees {min(freed):,.0f} to {max(freed):,.0f} slots would need a flush of "
        f"{min(freed) * one_us:,.0f} to {max(freed) * one_us:,.0f} us to be the cheaper one, and walking for "
        f"all {_TLB_ENTRIES} entries of a Pentium III's TLBs takes {walks_us:.0f} us."
    )


def describe_passes(points: Sequence[Point]) -> str:
    """Say what a pass with invlpg costs on all CPUs, beside one with a flush."""
    by_cpus = {(p.allocator, p.cpus): p for p in points if p.totals.scans}
    pairs = [
        f"{own.pass_us:,.0f} us against {by_cpus[FLUSHING, cpus].pass_us:,.0f} on {cpus}"
        for (allocator, cpus), own in by_cpus.items()
        if allocator == FAVOURED and (FLUSHING, cpus) in by_cpus
    ]
    return (
        f"On {SEVERAL} a pass holds the lock for {', '.join(pairs)}." if pairs else f"No pass on {SEVERAL}."
    )


def _laptop(skew: float, allocator: str, **options: int) -> Experiment:
    return Experiment("laptop", allocator, LAPTOP, 60_000, {"page_sets.highmem.skew": skew}, options)


def _several(cpus: int, allocator: str) -> Experiment:
    changes = scale_tasks("kernel_build", "numaq16", cpus)
    options = {"slots": _SEVERAL_SLOTS}
    return Experiment("kernel_build", allocator, SEVERAL, 16_000 * cpus, changes, options, cpus)


def verdict(runner: Runner) -> Verdict:
    """Add up what a map costs on the laptop; then make the same pass on several CPUs."""
    points = []
    for skew in _SKEWS:
        cached = [_laptop(skew, pool, slots=slots) for slots, pool in product(_SLOTS, (FAVOURED, FLUSHING))]
        uncached = [_laptop(skew, allocator) for allocator in _UNCACHED]
        points += [runner.bounded_point(run, f"{skew:g}") for run in (*cached, *uncached)]
    outcome, because = judge(points)
    several = [
        runner.point(_several(cpus, pool)) for cpus, pool in product(_SEVERAL_CPUS, (FAVOURED, FLUSHING))
    ]
    shown = _laptop(_SKEWS[1], FAVOURED, slots=_SLOTS[1])
    prices = (
        "invalidate_ns",
        "tlb_flush_ns",
        "tlb_refill_ns",
        "scan_slot_ns",
        "free_slot_ns",
        "shared_entry_ns",
    )
    return Verdict(
        "A small one-CPU machine prefers the persistent pool with invlpg in the pass",
        "linux-kernel, March 2002; A. Arcangeli, against the same pass on several CPUs: 'it would take too "
        "long to run such pass in all cpus'",
        outcome,
        f"{because} {describe_break_even(points)} {describe_passes(several)}",
        f"{shown.conditions()}. Several CPUs: workload kernel_build, profile {SEVERAL}, closed loop, seed 0",
        [
            Table.of(points, _COLUMNS),
            Table.of(
                several,
                _PASS_COLUMNS,
                f"The same pass on several CPUs of {SEVERAL}, {_SEVERAL_SLOTS} slots, three compile jobs "
                "for each CPU:",
            ),
        ],
        "how popular the laptop's pages are, the slots of both pools, and the design; then the CPUs. The "
        f"CPU time of a map is what the run takes more than one through {LOWER} of the same trace.",
        f"the workload of the laptop; {describe_costs(LAPTOP, *prices)}.",
        shown.commands(),
    )
