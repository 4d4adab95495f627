"""Claim (b): flush frequency and lost caching cost more than sleeping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pipeline.studies.experiment import Experiment, change_costs, describe_costs
from pipeline.studies.point import Point
from pipeline.studies.runner import Runner
from pipeline.studies.verdict import Columns, Outcome, Table, Verdict
from pipeline.workload.read_spec import read_workload

_BUILD = Experiment("kernel_build", "global_pool", "numaq16", 100_000, cpus=16)
_BUILD_SLOTS = (256, 1024, 4096)
_STORM = Experiment("fault_storm", "global_pool", "numaq16", 40_000, options={"slots": 1024}, cpus=16)
_STORM_TASKS = (300, 900, 1200, 1300, 1400, 1500, 2000)
# More than either workload has pages: nothing is ever evicted, and nobody sleeps.
_SLOTS_FOR_EVERY_PAGE = 1 << 16
# With these at 0 a pass and its flush take no time, and interrupt nobody for any.
FLUSH_COSTS = (
    "scan_slot_ns", "free_slot_ns", "ipi_send_ns", "ipi_latency_ns", "ipi_handler_ns", "tlb_flush_ns",
    "tlb_refill_ns",
)  # fmt: skip
# With these at 0 too, a miss costs what a hit does; nor does a hit walk then that is the first on its CPU.
REFILL_COSTS = ("probe_ns", "pte_write_ns", "walk_ns")
# What is taken away, in this order; the last instead of all others.
STEPS = ("flushes", "refills", "sleeps", "exhaustion")


@dataclass(frozen=True)
class Cost:
    """What flushing, refilling and sleeping cost one configuration: time saved when each is taken away."""

    workload: str
    tasks: int
    point: Point
    """The configuration as it is."""
    wall_ns: Mapping[str, int]
    """Wall time saved by STEPS: passes and flushes that take no time; after that, misses that cost what hits
    do; after that, a slot for every page; instead of all that, just enough slots that nobody can sleep:
    sleeping with the passes and flushes that every woken task makes anew. The last two are 0 where nobody
    slept."""
    cpu_ns: Mapping[str, int]

    @property
    def caching_ns(self) -> int:
        """What the claim says is more: wall time due to flush frequency and lost caching."""
        return self.wall_ns["flushes"] + self.wall_ns["refills"]

    @property
    def without_sleepers_ns(self) -> int:
        """The same without the passes and flushes that are there only because tasks sleep."""
        return self.caching_ns + self.wall_ns["sleeps"] - self.wall_ns["exhaustion"]

    def __str__(self) -> str:
        return f"{self.workload} of {self.tasks:,} tasks in {self.point.options['slots']:,} slots"


_COLUMNS: Columns = {
    "workload": "workload",
    "tasks": "tasks:,",
    "slots": "point.options[slots]:,",
    "wall s": "point.wall_s:.3f",
    "due to flushes s": lambda c: f"{c.wall_ns['flushes'] / 1e9:.3f}",
    "to refills s": lambda c: f"{c.wall_ns['refills'] / 1e9:.3f}",
    "to sleeps s": lambda c: f"{c.wall_ns['sleeps'] / 1e9:.3f}",
    "to exhaustion s": lambda c: f"{c.wall_ns['exhaustion'] / 1e9:.3f}",
    "CPU s due to flushes": lambda c: f"{c.cpu_ns['flushes'] / 1e9:.3f}",
    "to refills": lambda c: f"{c.cpu_ns['refills'] / 1e9:.3f}",
    "to sleeps": lambda c: f"{c.cpu_ns['sleeps'] / 1e9:.3f}",
    "misses/1000 maps": lambda c: f"{c.point.per_1000(c.point.totals.misses):.1f}",
    "flushes/1000 maps": lambda c: f"{c.point.per_1000(c.point.totals.flushes):.2f}",
    "sleeps/1000 maps": lambda c: f"{c.point.per_1000(c.point.totals.sleeps):.1f}",
}


def split_cost(workload: str, tasks: int, point: Point, steps: Sequence[Point]) -> Cost:
    """Take the differences between a run and the runs from which one cost after another is taken away.

    `steps` are the runs of STEPS; the last two are left out if nobody slept.
    """

    def save(figure: Callable[[Point], int]) -> dict[str, int]:
        chain = [figure(each) for each in (point, *steps)]
        saved = [before - after for before, after in pairwise(chain[:4])]
        if len(chain) > 4:
            saved.append(chain[0] - chain[4])
        return dict.fromkeys(STEPS, 0) | dict(zip(STEPS, saved, strict=False))

    return Cost(workload, tasks, point, save(lambda p: p.totals.wall_ns), save(lambda p: p.busy_ns))


def judge(costs: Sequence[Cost]) -> tuple[Outcome, str]:
    """Compare wall times in every configuration; say where sleeping costs more, however it is counted."""
    asleep = [c for c in costs if c.point.totals.sleeps]
    # Where nobody sleeps, sleeping costs nothing, and the differences may be chance of either sign.
    against = [c for c in asleep if c.caching_ns < c.wall_ns["sleeps"]]
    exhausted = [c for c in asleep if c.without_sleepers_ns < c.wall_ns["exhaustion"]]
    words = f"Nobody sleeps at all in {len(costs) - len(asleep)} of {len(costs)} configurations. "
    if asleep:
        words += f"Where tasks sleep: {'; '.join(f'{c}, {_shares(c)}' for c in asleep)}. "
    if asleep and len(against) == len(asleep):
        return "does not hold", f"{words}Sleeping by itself costs more wall time wherever tasks sleep."
    if against:
        named = ", ".join(map(str, against))
        return "depends", f"{words}Sleeping by itself costs more wall time than both with {named}."
    words += "Nowhere does sleeping by itself cost more wall time than flushing and refilling"
    if not exhausted:
        return "holds", f"{words}, not even with the flushes that woken tasks make."
    savings = ", ".join(
        f"with just enough slots that nobody can sleep, {c} would take "
        f"{(c.point.totals.wall_ns - c.wall_ns['exhaustion']) / 1e9:.2f} s and not {c.point.wall_s:.2f} s"
        for c in exhausted
    )
    return "depends", (
        f"{words}; but where slots run out, every woken task passes over the pool and flushes again, and "
        f"those flushes are there only because tasks sleep: {savings}."
    )


def _shares(c: Cost) -> str:
    flushes, refills, sleeps = (
        f"{100.0 * c.wall_ns[step] / c.point.totals.wall_ns:.1f} %" for step in STEPS[:3]
    )
    return f"{flushes} of the wall time is due to flushing, {refills} to refilling, {sleeps} to sleeping"


def take_away(experiment: Experiment, most_mapped: int) -> list[Experiment]:
    """Return the runs of STEPS; `most_mapped`: how many mappings the tasks can have at once."""
    no_flush = change_costs(**dict.fromkeys(FLUSH_COSTS, 0))
    free = replace(experiment, machine_changes={**no_flush, **change_costs(**dict.fromkeys(REFILL_COSTS, 0))})
    return [
        replace(experiment, machine_changes=no_flush),
        free,
        replace(free, options={"slots": _SLOTS_FOR_EVERY_PAGE}),
        replace(experiment, options={"slots": most_mapped + 1}),
    ]


def _measure(runner: Runner, experiment: Experiment) -> Cost:
    workload = read_workload(experiment.workload).workload
    tasks = int(experiment.changes.get("tasks", workload.tasks))
    point = runner.point(experiment)
    steps = take_away(experiment, tasks * (1 + workload.nesting_depth()))
    made = [runner.point(step) for step in steps[: 4 if point.totals.sleeps else 2]]
    return split_cost(experiment.workload, tasks, point, made)


def verdict(runner: Runner) -> Verdict:
    """Take flushes, refills and sleeps away one after another."""
    storms = [replace(_STORM, changes={"tasks": tasks}) for tasks in _STORM_TASKS]
    runs = [*(replace(_BUILD, options={"slots": slots}) for slots in _BUILD_SLOTS), *storms]
    costs = [_measure(runner, run) for run in runs]
    prices = ("scan_slot_ns", "free_slot_ns", "tlb_refill_ns", "pte_write_ns", "walk_ns", "switch_ns")
    return Verdict(
        "Flush frequency and lost caching cost more than sleeping",
        "linux-kernel, March 2002",
        *judge(costs),
        f"{_BUILD.conditions()}. {_STORM.conditions()}",
        [Table.of(costs, _COLUMNS)],
        "slots, and in the storm the tasks. Each configuration is replayed three times: as it is; with "
        "passes and flushes that take no time; with misses that cost what hits do as well; and where tasks "
        "sleep twice more: with a slot for every page as well; and, with everything priced, with just "
        "enough slots that nobody can sleep (exhaustion). What is saved at each step is what that cost, "
        "waiting for the lock behind it included; a negative figure is a step that made the rest dearer, or "
        "chance: where CPUs crowd at the lock, who gets it when moves the wall time by some per cent.",
        "the order in which costs are taken away; the storm, of which nobody published a trace; "
        f"{describe_costs('numaq16', *prices)}.",
        storms[-1].commands(),
    )
