"""Claim (g): a pool in the process's own page tables needs no pinning and no global flush."""

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

ALLOCATOR = "per_process"
_SLOTS = 64
_POOL_SLOTS = 1024
_THREADS = 12


def judge(cases: Sequence[Case]) -> tuple[Outcome, str]:
    """Nobody may be pinned or interrupted in any case."""
    free = [c for c in cases if not c.own.ipis + c.own.pin_waits]
    others = [c for c in cases if c not in free]
    said = gains(cases) + "."
    if not others:
        return "holds", f"No IPI and no wait for the own CPU in {len(cases)} compiles. {said}"
    interrupted = (
        f"{sum(c.own.ipis for c in others):,} IPIs in {len(others)} compiles "
        f"({'; '.join(c.case for c in others)}), "
        f"by the pool's flushes {sum(c.pool.ipis for c in others):,}; "
        f"{sum(c.own.pin_waits for c in others):,} "
        "waits for the own CPU"
    )
    if not free:
        return "does not hold", f"{interrupted}. {said}"
    return (
        "depends",
        f"On how many threads share a process: {interrupted}; none in the other {len(free)}. {said}",
    )


def verdict(bench: Bench) -> Verdict:
    """A process to each task, then a few threads to each process."""
    runs = [
        (
            f"{cpus} CPUs of {machine}, {threads} thread{'s' * (threads > 1)} to a process",
            experiment(ALLOCATOR, machine, cpus, _SLOTS, threads),
            _POOL_SLOTS,
        )
        for machine in MACHINES
        for cpus in CPUS
        for threads in (1, _THREADS)
    ]
    cases = compared(bench, runs)
    outcome, because = judge(cases)
    return Verdict(
        "A pool in the process's own page tables needs no pinning and no global flush",
        "R. van Riel; M. J. Bligh's UKVA, 2002-2003",
        outcome, because, conditions(), HEAD, rows(cases),
        varied=f"machine, CPUs and threads; {_SLOTS} slots for each process, {_POOL_SLOTS:,} in the pool.",
        assumed=f"{prices(MACHINES[0], 'tlb_flush_ns', 'tlb_refill_ns', 'local_entry_ns')}.",
        commands=runs[0][1].commands(),
    )  # fmt: skip
