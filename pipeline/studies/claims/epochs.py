"""Claim (k): a slot can be used again without a flush where the address space has been switched since."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.studies.claims.against_pool import (
    CPUS,
    HEAD,
    MACHINES,
    Case,
    compared,
    conditions,
    everywhere,
    gains,
    rows,
)
from pipeline.studies.claims.bench import Bench, prices
from pipeline.studies.claims.bench_verdict import Outcome, Verdict

ALLOCATOR = "epoch_pool"


def judge(cases: Sequence[Case]) -> tuple[Outcome, str]:
    """Fewer CPUs must be interrupted than by the pool's flushes, wherever those are."""
    flushing = [c for c in cases if c.pool.ipis or c.own.ipis]
    fewer = [c for c in flushing if c.own.ipis < c.pool.ipis]
    misses = sum(c.own.misses for c in cases)
    spared = misses - sum(c.own.flushes for c in cases)
    switches = sum(c.own.switches for c in cases)
    said = (
        f"Of {misses:,} misses {100.0 * spared / max(misses, 1):.0f} % interrupt nobody, with {switches:,} "
        f"switches in all; yet {sum(c.own.ipis for c in cases):,} IPIs are sent and by the pool's flushes "
        f"{sum(c.pool.ipis for c in cases):,}, fewer than those in {len(fewer)} of {len(flushing)} compiles "
        f"in "
        f"which there are any. {gains(cases)}."
    )
    if len(fewer) == len(flushing):
        return "holds", said
    return ("depends" if fewer else "does not hold"), said


def verdict(bench: Bench) -> Verdict:
    """Compiles with a few tasks to each CPU, which switch when their time slice ends or they wait."""
    runs = everywhere(ALLOCATOR)
    cases = compared(bench, runs)
    outcome, because = judge(cases)
    return Verdict(
        "A slot can be used again without a flush where the address space has been switched since, so that "
        "fewer CPUs are interrupted",
        "M. J. Bligh, linux-kernel, July 2002",
        outcome, because, conditions(), HEAD, rows(cases),
        varied=f"machine, {', '.join(str(cpus) for cpus in CPUS)} CPUs, and slots.",
        assumed="how often tasks wait and for how long they compute, which is how often a CPU switches; "
        f"{prices(MACHINES[0], 'track_switch_ns', 'timeslice_ns')}.",
        commands=runs[0][1].commands(),
    )  # fmt: skip
