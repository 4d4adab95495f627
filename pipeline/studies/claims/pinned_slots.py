"""Claim (c): with many concurrent faulting tasks passes are more frequent and less useful."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from pipeline.studies.experiment import Experiment, describe_costs
from pipeline.studies.point import Point, ratio
from pipeline.studies.runner import Runner
from pipeline.studies.verdict import Columns, Outcome, Table, Verdict, capitalize

_SLOTS = 1024
_TASKS = (64, 128, 256, 512, 768, 1024, 1152, 1280, 1408, 1536)
# So many pages for each task that next to no map hits, however few the tasks: else fewer of them would make
# fewer misses, and passes would be rarer for that reason alone.
_PAGES_PER_TASK = 4_000

_COLUMNS: Columns = {
    "tasks": "case",
    "most mapped at once": "totals.max_mapped:,",
    "slots pinned at a pass %": lambda p: f"{pinned_percent(p):.1f}",
    "slots freed by a pass": "freed_per_pass:,.1f",
    "misses between passes": lambda p: f"{ratio(p.totals.misses, p.totals.scans):,.1f}",
    "passes/1000 maps": lambda p: f"{p.per_1000(p.totals.scans):.2f}",
    "hit rate %": "hit_percent:.1f",
    "sleeps/1000 maps": lambda p: f"{p.per_1000(p.totals.sleeps):.1f}",
    "CPU in passes and flushes %": "flush_percent:.1f",
    "CPU spinning %": "lock_wait_percent:.1f",
}


def pinned_percent(point: Point) -> float:
    """Share of the slots that a pass found mapped, all passes together. At a wrap no slot is clean."""
    return 100.0 * (point.totals.scanned - point.totals.freed) / max(point.totals.scanned, 1)


def judge(points: Mapping[int, Point]) -> tuple[Outcome, str]:
    """Look whether each step to more tasks makes passes more frequent, and each of them free less.

    `points` are by tasks.
    """

    def frequent(fewer: Point, more: Point) -> bool:
        return more.per_1000(more.totals.scans) > fewer.per_1000(fewer.totals.scans)

    def useless(fewer: Point, more: Point) -> bool:
        return more.freed_per_pass < fewer.freed_per_pass

    steps = list(pairwise(points.values()))
    met = [sum(worse(*step) for step in steps) for worse in (frequent, useless)]
    first, last = min(points), max(points)
    ends = points[first], points[last]
    pinned, freed, passes = (
        [figure(point) for point in ends]
        for figure in (pinned_percent, lambda p: p.freed_per_pass, lambda p: p.per_1000(p.totals.scans))
    )
    words = (
        f"from {first:,} to {last:,} faulting tasks the share of slots that a pass finds pinned goes from "
        f"{pinned[0]:.0f} to {pinned[1]:.0f} %, what it frees from {freed[0]:,.0f} to {freed[1]:,.0f} slots, "
        f"and passes per 1,000 maps from {passes[0]:.2f} to {passes[1]:.2f}. "
    )
    if met == [len(steps), len(steps)] and pinned[1] > 50.0:
        words += "Every step to more tasks makes them more frequent and less useful."
        return "holds", capitalize(words)
    words += (
        f"Of {len(steps)} steps to more tasks {met[0]} make passes more frequent and {met[1]} make them less "
        "useful."
    )
    if frequent(*ends) and useless(*ends):
        return "depends", f"On how many tasks: {words}"
    return "does not hold", capitalize(words)


def verdict(runner: Runner) -> Verdict:
    """Let more and more tasks fault at once."""
    runs = {
        tasks: Experiment(
            "fault_storm",
            "global_pool",
            "numaq16",
            60_000,
            {"tasks": tasks, "page_sets.page_tables.pages": _PAGES_PER_TASK},
            {"slots": _SLOTS},
            cpus=16,
        )
        for tasks in _TASKS
    }
    points = {tasks: runner.point(run, f"{tasks:,}") for tasks, run in runs.items()}
    outcome, because = judge(points)
    slept = next((p for p in points.values() if p.totals.sleeps), None)
    if slept:
        because += (
            f" Tasks first sleep with {slept.case} of them, when a pass finds {pinned_percent(slept):.0f} % "
            "of the slots pinned."
        )
    return Verdict(
        "With many concurrent faulting tasks most entries are pinned, so passes are more frequent and less "
        "useful",
        "linux-kernel, March 2002",
        outcome,
        because,
        runs[_TASKS[-1]].conditions(),
        [Table.of(points.values(), _COLUMNS)],
        f"the tasks that fault at once, over a pool of {_SLOTS:,} slots. Each has pages of its own, and so "
        "many that next to no map hits: with hits the pool would be passed over less often, and with few "
        "tasks not at all.",
        "the whole workload: nobody published a trace of such a storm; "
        f"{describe_costs('numaq16', 'scan_slot_ns', 'free_slot_ns')}.",
        runs[_TASKS[-3]].commands(),
    )
