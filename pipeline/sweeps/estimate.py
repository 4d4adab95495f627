"""Estimates of the time of runs, from runs of the same sweep."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

from pipeline.io.numbers import format_duration
from pipeline.sweeps.directory import SweepDirectory
from pipeline.sweeps.journal import read_states, read_totals
from pipeline.sweeps.plan import PlannedRun


def estimate(sweep: SweepDirectory | None, runs: Sequence[PlannedRun], workers: int | None) -> str:
    """Estimate the time of runs on `workers` workers (default: the number of usable CPUs).

    The time per operation is the mean over runs of the same design, machine and number of CPUs, else over
    runs of the design, else over all runs.
    """
    rates = _measure(sweep) if sweep is not None else {}
    if not runs:
        return "nothing to do"
    if not rates:
        return "no estimate of the time: the sweep has no finished runs yet"
    ns = 0.0
    for run in runs:
        machine = Path(run.machine).stem
        candidates = ((run.allocator, machine, run.cpus), run.allocator, None)
        ns += run.trace.operations * next(rates[key] for key in candidates if key in rates)
    size = workers or len(os.sched_getaffinity(0))
    return f"about {format_duration(round(ns / size))} on {size} CPUs, estimated from runs of this sweep"


def _measure(sweep: SweepDirectory) -> dict[Hashable, float]:
    """Return mean ns per operation: by design, machine and CPUs; by design; and overall, by None."""
    states = read_states(sweep)
    spent: dict[Hashable, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for key, row in read_totals(sweep).items():
        facts = states[key].facts if key in states else {}
        if "elapsed_s" not in facts:
            continue
        for group in ((row["allocator"], row["machine"], row["cpus"]), row["allocator"], None):
            spent[group][0] += facts["elapsed_s"] * 1e9
            spent[group][1] += facts["operations"]
    return {group: ns / operations for group, (ns, operations) in spent.items() if operations}
