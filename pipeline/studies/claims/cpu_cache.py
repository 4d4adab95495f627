"""Claim (j): a cache for each CPU needs only local flushes, for 4 bytes per CPU in every struct page."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.studies.claims.against_pool import (
    CPUS,
    HEAD,
    MACHINES,
    Case,
    compared,
    conditions,
    experiment,
    gains,
    rows,
)
from pipeline.studies.claims.bench import Bench, prices
from pipeline.studies.claims.bench_verdict import Outcome, Verdict

ALLOCATOR = "percpu_cached"
# For each CPU, and as many for each CPU in the pool it is compared with.
_SLOTS = (64, 16)


def judge(cases: Sequence[Case]) -> tuple[Outcome, str]:
    """No CPU may be interrupted, at 4 bytes for each CPU."""
    good = [c for c in cases if not c.own.ipis + c.own.flushes and c.page_struct_bytes == 4 * c.cpus]
    most = max(cases, key=lambda c: c.page_struct_bytes)
    missed = max(cases, key=lambda c: c.own.misses / max(c.pool.misses, 1))
    said = (
        f"{sum(c.own.ipis for c in cases):,} IPIs, and {sum(c.own.full_local_flushes for c in cases):,} "
        f"flushes "
        f"of the own TLB, in {len(cases)} compiles; {most.page_struct_bytes} bytes in every struct page for "
        f"{most.cpus} CPUs. Pages that several CPUs use miss on each: up to "
        f"{missed.own.misses / max(missed.pool.misses, 1):.1f} times as many misses as in the pool "
        f"({missed.case}). {gains(cases)}."
    )
    return ("holds" if len(good) == len(cases) else "depends" if good else "does not hold"), said


def verdict(bench: Bench) -> Verdict:
    """Enough slots on each CPU, and few."""
    runs = [
        (
            f"{cpus} CPUs of {machine}, {slots} slots for each",
            experiment(ALLOCATOR, machine, cpus, slots),
            slots * cpus,
        )
        for machine in MACHINES
        for cpus in CPUS
        for slots in _SLOTS
    ]
    cases = compared(bench, runs)
    outcome, because = judge(cases)
    return Verdict(
        "A cache for each CPU needs only local flushes, for 4 bytes per CPU in every struct page",
        "`page->virtual[NR_CPUS]`, linux-kernel, 2002",
        outcome, because, conditions(), HEAD, rows(cases),
        varied="machine, CPUs and the slots of each; the pool has as many in all.",
        assumed="that a pass over a CPU's own slots costs as much for each as one over the pool's, which is "
        f"more than it should; {prices(MACHINES[0], 'scan_in_use_ns', 'tlb_flush_ns', 'tlb_refill_ns')}.",
        commands=runs[0][1].commands(),
    )  # fmt: skip
