"""Claims (h) and (i): a flush need not be made with the pool's lock held, in halves or deferred."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.studies.claims.against_pool import (
    HEAD,
    MACHINES,
    Case,
    compared,
    conditions,
    everywhere,
    gains,
    longest_hold_ns,
    rows,
)
from pipeline.studies.claims.bench import Bench, prices
from pipeline.studies.claims.bench_verdict import Outcome, Verdict


def judge(cases: Sequence[Case]) -> tuple[Outcome, str]:
    """The longest hold must be shorter than the pool's wherever both flush."""
    flushing = [c for c in cases if c.own.flushes and c.pool.flushes]
    shorter = [c for c in flushing if longest_hold_ns(c.own) < longest_hold_ns(c.pool)]
    said = (
        f"In {len(shorter)} of the {len(flushing)} compiles in which both designs flush, the longest hold is "
        f"shorter than the pool's. {gains(cases)}: better in {sum(c.gain > 1.01 for c in cases)}, worse in "
        f"{sum(c.gain < 0.99 for c in cases)}, of {len(cases)}. Tasks sleep "
        f"{sum(c.own.sleeps for c in cases):,} "
        f"times, in the pool {sum(c.pool.sleeps for c in cases):,}."
    )
    if len(shorter) == len(flushing):
        return "holds", said
    if not shorter:
        return "does not hold", said
    longer = "; ".join(c.case for c in flushing if c not in shorter)
    return "depends", f"On what else makes a hold long (not in {longer}): {said}"


def _verdict(bench: Bench, allocator: str, claim: str, source: str) -> Verdict:
    runs = everywhere(allocator)
    cases = compared(bench, runs)
    outcome, because = judge(cases)
    return Verdict(
        claim, source, outcome, because, conditions(), HEAD, rows(cases),
        varied="machine, CPUs and slots, with as many tasks and operations for each CPU.",
        assumed="that a woken task waits behind computing ones for a CPU, which makes each sleep long; "
        f"{prices(MACHINES[0], 'scan_in_use_ns', 'tlb_flush_ns', 'handoff_local_ns')}.",
        commands=runs[0][1].commands(),
    )  # fmt: skip


def verdict_split(bench: Bench) -> Verdict:
    """The pool in two halves."""
    return _verdict(
        bench,
        "split_pool",
        "Flushing one half of the pool while slots are taken from the other keeps the flush out of the lock",
        "M. J. Bligh, 2002",
    )


def verdict_deferred(bench: Bench) -> Verdict:
    """The lock released for the flush."""
    return _verdict(
        bench, "deferred_flush", "The global flush need not be made with the lock held", "H. Dickins"
    )
