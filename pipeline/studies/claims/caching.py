"""Claim (b): flush frequency and lost caching cost more than sleeping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.runs.figures import busy_ns, maps
from pipeline.schema.run import Totals
from pipeline.studies.claims.bench import Bench, Experiment, prices
from pipeline.studies.claims.bench_verdict import Outcome, Verdict
from pipeline.workload.read_spec import read_workload

_BUILD_OPERATIONS = 100_000
_BUILD_SLOTS = (256, 1024, 4096)
_STORM_OPERATIONS = 40_000
_STORM_SLOTS = 1024
_STORM_TASKS = (300, 900, 1200, 1300, 1400, 1500, 2000)
# More than either workload has pages: nothing is ever evicted, and nobody sleeps.
_SLOTS_FOR_EVERY_PAGE = 1 << 16
# With these at 0 a pass and its flush take no time, and interrupt nobody for any.
FLUSH_COSTS = (
    "scan_slot_ns", "scan_in_use_ns", "ipi_send_ns", "ipi_latency_ns", "ipi_handler_ns", "tlb_flush_ns",
    "tlb_refill_ns",
)  # fmt: skip
# With these at 0 too, a miss costs what a hit does; nor does a hit walk then that is the first on its CPU.
REFILL_COSTS = ("probe_ns", "pte_write_ns", "walk_ns")


@dataclass(frozen=True)
class Cost:
    """What each of the three costs one configuration, as time saved when it is taken away; all ns."""

    workload: str
    tasks: int
    slots: int
    wall_ns: int
    flush_wall_ns: int
    """Wall time saved when passes and flushes take no time."""
    refill_wall_ns: int
    """Wall time saved when, after that, misses cost what hits do."""
    sleep_wall_ns: int
    """Wall time saved when, after that, there is a slot for every page; 0 where nobody slept."""
    exhaustion_wall_ns: int
    """Wall time saved when, instead, there are just enough slots that nobody can sleep: sleeping with the
    passes and flushes that every woken task makes anew. 0 where nobody slept."""
    flush_cpu_ns: int
    refill_cpu_ns: int
    sleep_cpu_ns: int
    misses_per_1000: float
    flushes_per_1000: float
    sleeps_per_1000: float

    @property
    def caching_wall_ns(self) -> int:
        """What the claim says is more: flush frequency and lost caching."""
        return self.flush_wall_ns + self.refill_wall_ns

    @property
    def without_sleepers_wall_ns(self) -> int:
        """The same without the passes and flushes that are there only because tasks sleep."""
        return self.caching_wall_ns + self.sleep_wall_ns - self.exhaustion_wall_ns


def cost(workload: str, tasks: int, slots: int, chain: Sequence[Totals]) -> Cost:
    """Take the differences between a run and the runs from which one cost after another is taken away.

    `chain`: as it is; flushes free; refills free too; a slot for every page too; all priced, with slots so
    that nobody can sleep. The last two are left out if nobody slept.
    """
    whole, no_flush, no_refill = chain[:3]
    no_sleep, enough = chain[3:] if len(chain) > 3 else (no_refill, whole)
    per_1000 = 1000.0 / maps(whole)
    return Cost(
        workload,
        tasks,
        slots,
        whole.wall_ns,
        whole.wall_ns - no_flush.wall_ns,
        no_flush.wall_ns - no_refill.wall_ns,
        no_refill.wall_ns - no_sleep.wall_ns,
        whole.wall_ns - enough.wall_ns,
        busy_ns(whole) - busy_ns(no_flush),
        busy_ns(no_flush) - busy_ns(no_refill),
        busy_ns(no_refill) - busy_ns(no_sleep),
        whole.misses * per_1000,
        whole.flushes * per_1000,
        whole.sleeps * per_1000,
    )


def judge(costs: Sequence[Cost]) -> tuple[Outcome, str]:
    """Compare wall times in every configuration; say where sleeping costs more, however it is counted."""
    asleep = [c for c in costs if c.sleeps_per_1000 > 0.0]
    # Where nobody sleeps, sleeping costs nothing, and the differences may be chance of either sign.
    against = [c for c in asleep if c.caching_wall_ns < c.sleep_wall_ns]
    exhausted = [c for c in asleep if c.without_sleepers_wall_ns < c.exhaustion_wall_ns]
    said = f"Nobody sleeps at all in {len(costs) - len(asleep)} of {len(costs)} configurations. "
    if asleep:
        said += "Where tasks sleep: " + "; ".join(f"{_named(c)}, {_shares(c)}" for c in asleep) + ". "
    if asleep and len(against) == len(asleep):
        return "does not hold", said + "Sleeping by itself costs more wall time wherever tasks sleep."
    if against:
        named = ", ".join(_named(c) for c in against)
        return "depends", said + f"Sleeping by itself costs more wall time than both with {named}."
    said += "Nowhere does sleeping by itself cost more wall time than flushing and refilling"
    if not exhausted:
        return "holds", said + ", not even with the flushes that woken tasks make."
    return "depends", (
        f"{said}; but where slots run out, every woken task passes over the pool and flushes again, and "
        f"those flushes are there only because tasks sleep: {', '.join(_exhaustion(c) for c in exhausted)}."
    )


def _exhaustion(c: Cost) -> str:
    return (
        f"with just enough slots that nobody can sleep, {_named(c)} would take "
        f"{(c.wall_ns - c.exhaustion_wall_ns) / 1e9:.2f} s and not {c.wall_ns / 1e9:.2f} s"
    )


def _named(c: Cost) -> str:
    return f"{c.workload} of {c.tasks:,} tasks in {c.slots:,} slots"


def _shares(c: Cost) -> str:
    def percent(ns: int) -> str:
        return f"{100.0 * ns / c.wall_ns:.1f} %"

    return (
        f"{percent(c.flush_wall_ns)} of the wall time is due to flushing, {percent(c.refill_wall_ns)} to "
        f"refilling, {percent(c.sleep_wall_ns)} to sleeping"
    )


def chain(experiment: Experiment, most_mapped: int) -> list[Experiment]:
    """Return the runs of `cost`; `most_mapped`: how many mappings the tasks can have at once."""
    no_flush = dict.fromkeys(FLUSH_COSTS, 0)
    no_refill = no_flush | dict.fromkeys(REFILL_COSTS, 0)
    free = replace(experiment, costs=no_refill)
    return [
        experiment,
        replace(experiment, costs=no_flush),
        free,
        replace(free, options={"slots": _SLOTS_FOR_EVERY_PAGE}),
        replace(experiment, options={"slots": most_mapped + 1}),
    ]


def experiments() -> list[Experiment]:
    """Every configuration as it is."""
    build = Experiment("kernel_build", "global_pool", "numaq16", _BUILD_OPERATIONS, cpus=16)
    storm = Experiment(
        "fault_storm", "global_pool", "numaq16", _STORM_OPERATIONS, {}, {"slots": _STORM_SLOTS}, 16
    )
    return [
        *(replace(build, options={"slots": slots}) for slots in _BUILD_SLOTS),
        *(replace(storm, changes={"tasks": tasks}) for tasks in _STORM_TASKS),
    ]


def _measured(bench: Bench, experiment: Experiment) -> Cost:
    workload = read_workload(experiment.workload).workload
    tasks = int(experiment.changes.get("tasks", workload.tasks))
    runs: list[Totals] = []
    for step in chain(experiment, tasks * (1 + workload.nesting_depth())):
        runs.append(bench.manifest(step).totals)
        if len(runs) == 3 and not runs[0].sleeps:
            break
    return cost(experiment.workload, tasks, int(experiment.options["slots"]), runs)


def verdict(bench: Bench) -> Verdict:
    """Take flushes, refills and sleeps away one after another."""
    configurations = experiments()
    costs = [_measured(bench, configuration) for configuration in configurations]
    outcome, because = judge(costs)
    build, storm = configurations[0], configurations[-1]
    return Verdict(
        "Flush frequency and lost caching cost more than sleeping",
        "linux-kernel, March 2002",
        outcome,
        because,
        f"{build.conditions()}. {replace(storm, changes={}).conditions()}",
        (
            "workload", "tasks", "slots", "wall s", "due to flushes s", "to refills s", "to sleeps s",
            "to exhaustion s",
            "CPU s due to flushes", "to refills", "to sleeps", "misses/1000 maps", "flushes/1000 maps",
            "sleeps/1000 maps",
        ),
        [
            (
                c.workload, f"{c.tasks:,}", f"{c.slots:,}", f"{c.wall_ns / 1e9:.3f}",
                *(
                    f"{ns / 1e9:.3f}"
                    for ns in (
                        c.flush_wall_ns, c.refill_wall_ns, c.sleep_wall_ns, c.exhaustion_wall_ns,
                        c.flush_cpu_ns, c.refill_cpu_ns, c.sleep_cpu_ns,
                    )
                ),
                f"{c.misses_per_1000:.1f}", f"{c.flushes_per_1000:.2f}", f"{c.sleeps_per_1000:.1f}",
            )
            for c in costs
        ],
        varied="slots, and in the storm the tasks. Each configuration is replayed three times: as it is; "
        "with passes and flushes that take no time; with misses that cost what hits do as well; and where "
        "tasks sleep twice more: with a slot for every page as well; and, with everything priced, with just "
        "enough slots that nobody can sleep (exhaustion). What is saved at each step is what that cost, "
        "waiting for the lock behind it included; a negative figure is a step that made the rest dearer, "
        "or chance: where CPUs crowd at the lock, who gets it when moves the wall time by some per cent.",
        assumed="the order in which costs are taken away; the storm, of which nobody published a trace; "
        + prices("numaq16", "scan_slot_ns", "tlb_refill_ns", "pte_write_ns", "walk_ns", "switch_ns")
        + ".",
        commands=storm.commands(),
    )  # fmt: skip
