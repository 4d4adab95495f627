"""Claim (c): with many concurrent faulting tasks passes are more frequent and less useful."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipeline.runs.figures import cpu_percent, maps
from pipeline.schema.run import Totals
from pipeline.studies.claims.bench import Bench, Experiment, prices
from pipeline.studies.claims.bench_verdict import Outcome, Verdict

_SLOTS = 1024
_TASKS = (64, 128, 256, 512, 768, 1024, 1152, 1280, 1408, 1536)
_OPERATIONS = 60_000
# So many pages for each task that next to no map hits, however few the tasks: else fewer of them would make
# fewer misses, and passes would be rarer for that reason alone.
_PAGES_PER_TASK = 4_000


@dataclass(frozen=True)
class Storm:
    """What passes find with so many tasks that fault at once."""

    tasks: int
    max_mapped: int
    freed_per_pass: float
    pinned_percent: float
    """Share of the slots that a pass found mapped, all passes together. At a wrap no slot is clean."""
    misses_per_pass: float
    passes_per_1000: float
    hit_percent: float
    sleeps_per_1000: float
    scan_flush_percent: float
    """Share of all CPU time in passes, flushes and interrupts."""
    spin_percent: float
    """Share of all CPU time spent waiting for the lock, under which passes are made."""


def storm(tasks: int, totals: Totals) -> Storm:
    """Figures of one run; one without a pass has none to speak of."""
    passes = max(totals.scans, 1)
    mapped = maps(totals)
    return Storm(
        tasks,
        totals.max_mapped,
        totals.freed / passes,
        100.0 * (totals.scanned - totals.freed) / max(totals.scanned, 1),
        totals.misses / passes,
        1000.0 * totals.scans / mapped,
        100.0 * totals.hits / mapped,
        1000.0 * totals.sleeps / mapped,
        cpu_percent(totals, ("scan", "flush", "interrupted")),
        cpu_percent(totals, ("spin",)),
    )


def judge(storms: Sequence[Storm]) -> tuple[Outcome, str]:
    """Look whether each step to more tasks makes passes more frequent, and each of them free less."""
    steps = list(pairwise(storms))
    frequent = sum(more.passes_per_1000 > fewer.passes_per_1000 for fewer, more in steps)
    useless = sum(more.freed_per_pass < fewer.freed_per_pass for fewer, more in steps)
    first, last = storms[0], storms[-1]
    said = (
        f"from {first.tasks:,} to {last.tasks:,} faulting tasks the share of slots that a pass finds pinned "
        f"goes from {first.pinned_percent:.0f} to {last.pinned_percent:.0f} %, what it frees from "
        f"{first.freed_per_pass:,.0f} to {last.freed_per_pass:,.0f} slots, and passes per 1,000 maps from "
        f"{first.passes_per_1000:.2f} to {last.passes_per_1000:.2f}. "
    )
    if frequent == useless == len(steps) and last.pinned_percent > 50.0:
        return "holds", _upper(said) + "Every step to more tasks makes them more frequent and less useful."
    both = last.passes_per_1000 > first.passes_per_1000 and last.freed_per_pass < first.freed_per_pass
    said += (
        f"Of {len(steps)} steps to more tasks {frequent} make passes more frequent and {useless} make them "
        "less useful."
    )
    return ("depends" if both else "does not hold"), (f"On how many tasks: {said}" if both else _upper(said))


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _experiment(tasks: int) -> Experiment:
    changes: dict[str, Any] = {"tasks": tasks, "page_sets.page_tables.pages": _PAGES_PER_TASK}
    return Experiment(
        "fault_storm", "global_pool", "numaq16", _OPERATIONS, changes, {"slots": _SLOTS}, cpus=16
    )


def verdict(bench: Bench) -> Verdict:
    """Let more and more tasks fault at once."""
    storms = [storm(tasks, bench.manifest(_experiment(tasks)).totals) for tasks in _TASKS]
    outcome, because = judge(storms)
    slept = next((s for s in storms if s.sleeps_per_1000 > 0.0), None)
    return Verdict(
        "With many concurrent faulting tasks most entries are pinned, so passes are more frequent and less "
        "useful",
        "linux-kernel, March 2002",
        outcome,
        because
        + (
            ""
            if slept is None
            else f" Tasks first sleep with {slept.tasks:,} of them, when a pass finds "
            f"{slept.pinned_percent:.0f} % of the slots pinned."
        ),
        _experiment(_TASKS[-1]).conditions(),
        (
            "tasks", "most mapped at once", "slots pinned at a pass %", "slots freed by a pass",
            "misses between passes", "passes/1000 maps", "hit rate %", "sleeps/1000 maps",
            "CPU in passes and flushes %", "CPU spinning %",
        ),
        [
            (
                f"{s.tasks:,}", f"{s.max_mapped:,}", f"{s.pinned_percent:.1f}", f"{s.freed_per_pass:,.1f}",
                f"{s.misses_per_pass:,.1f}", f"{s.passes_per_1000:.2f}", f"{s.hit_percent:.1f}",
                f"{s.sleeps_per_1000:.1f}", f"{s.scan_flush_percent:.1f}",
                f"{s.spin_percent:.1f}",
            )
            for s in storms
        ],
        varied=f"the tasks that fault at once, over a pool of {_SLOTS:,} slots. Each has pages of its own, "
        "and so many that next to no map hits: with hits the pool would be passed over less often, and with "
        "few tasks not at all.",
        assumed="the whole workload: nobody published a trace of such a storm; "
        + prices("numaq16", "scan_slot_ns", "scan_in_use_ns")
        + ".",
        commands=_experiment(_TASKS[-3]).commands(),
    )  # fmt: skip
