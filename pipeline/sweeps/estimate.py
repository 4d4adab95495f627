"""How long runs will take, from what runs took in the same sweep."""

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
    """Say how long runs will take on so many workers (one for each usable CPU if None).

    A run takes as long for each operation as those of its design, machine and number of CPUs took on the
    mean; of its design, or of all, where there are none.
    """
    rates = _measure(sweep) if sweep is not None else {}
    if not runs:
        return "nothing to do"
    if not rates:
        return "how long it takes is not known: nothing of this sweep has been measured yet"
    ns = 0.0
    for run in runs:
        machine = Path(run.machine).stem
        candidates = ((run.allocator, machine, run.cpus), run.allocator, None)
        ns += run.trace.operations * next(rates[key] for key in candidates if key in rates)
    size = workers or len(os.sched_getaffinity(0))
    return f"about {format_duration(round(ns / size))} on {size} CPUs, by the runs of this sweep"


def _measure(sweep: SweepDirectory) -> dict[Hashable, float]:
    """Mean ns an operation, by design, machine and CPUs; by design; and of all by None."""
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
