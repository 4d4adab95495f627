"""Claim (a): 256 simultaneous maps are needed before any task sleeps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.sql.query import sql
from pipeline.studies.experiment import Experiment, describe_costs
from pipeline.studies.point import Point
from pipeline.studies.runner import Runner
from pipeline.studies.verdict import Columns, Outcome, Table, Verdict, outcome_of
from pipeline.workload.read_spec import read_workload

SLOTS = 256
MOST_MAPS = 320

# Every task maps one page and keeps it far longer than all of them need to map theirs.
HOLD_AT_ONCE: dict[str, Any] = {
    "tasks": MOST_MAPS,
    "page_sets.page_tables.pages": 1,
    "start": {"dist": "uniform", "low_ns": 0, "high_ns": 1_000_000_000},
    "kinds.page_fault.wait.probability": 0.0,
    "kinds.page_fault.block.time": {"dist": "constant", "ns": 60_000_000_000},
    "kinds.page_fault.long_lived.share": 0.0,
}
ONE_PAGE: dict[str, Any] = {"page_sets.page_tables.sharing": "all"}

# Multiples of the time for which a compile's mappings would have to last, by Little's law.
_LENGTHENED = (0.25, 0.5, 0.75, 1.0, 1.25)
_BUILD = Experiment(
    "kernel_build", "global_pool", "numaq16", 100_000, options={"slots": SLOTS}, cpus=16, events="full"
)


@dataclass(frozen=True)
class Arrangement:
    """Slots for the simultaneous maps, and the first of these that sleeps."""

    name: str
    slots: int
    """Slots that such a map may take; of all CPUs together, where each has its own."""
    all_slots: int
    shared: bool
    """One pool for all maps of this kind, with a page for each: what the claim is about."""
    experiment: Experiment
    first: int | None = None
    """None: none of MOST_MAPS sleeps."""


def arrangements() -> list[Arrangement]:
    """Pools of 256 slots, in all or for such maps."""

    def on(allocator: str, options: dict[str, int | str], **changes: Any) -> Experiment:
        return Experiment(
            "fault_storm", allocator, "numaq16", MOST_MAPS, HOLD_AT_ONCE | changes, options, cpus=16
        )

    def series(slots: int, *, meant: bool) -> Arrangement:
        name = f"series_pool of 2 x {slots}, page tables only"
        run = on("series_pool", {"series": 2, "slots": slots})
        return Arrangement(name, slots, 2 * slots, meant, run)

    pool: dict[str, int | str] = {"slots": SLOTS}
    per_cpu = SLOTS // 16
    return [
        Arrangement("global_pool, a page each", SLOTS, SLOTS, True, on("global_pool", pool)),
        series(SLOTS, meant=True),
        series(SLOTS // 2, meant=False),
        Arrangement("global_pool, the same page", SLOTS, SLOTS, False, on("global_pool", pool, **ONE_PAGE)),
        Arrangement(
            f"percpu_pinned, 16 CPUs x {per_cpu}",
            SLOTS,
            SLOTS,
            False,
            on("percpu_pinned", {"slots_per_cpu": per_cpu}),
        ),
    ]


def find_first_sleep(runner: Runner, experiment: Experiment, most: int = MOST_MAPS) -> int | None:
    """Smallest number of simultaneous maps with which one of them sleeps; None if `most` is not enough.

    Fewer operations are a prefix of the same trace, so more maps never sleep less.
    """

    def sleeps(maps: int) -> bool:
        return runner.manifest(replace(experiment, operations=maps)).totals.sleeps > 0

    first = 1 + bisect_left(range(1, most + 1), True, key=sleeps)
    return first if first <= most else None


def judge(found: Sequence[Arrangement]) -> tuple[Outcome, str]:
    """Say whether a map sleeps exactly when there are as many before it as the pool has slots."""
    pools = [a for a in found if a.shared]
    right = sum(a.first == a.slots + 1 and a.slots == SLOTS for a in pools)
    words = "; ".join(
        f"{a.name}: map number {a.first} is the first to sleep"
        if a.first
        else f"{a.name}: none of {MOST_MAPS} maps sleeps"
        for a in found
    )
    return outcome_of(right, len(pools)), f"{words}."


@dataclass(frozen=True)
class Held:
    """A compile whose mappings last so and so long."""

    tasks: int
    block_us: float | None
    """What each mapping blocks for, on the mean; None: as the workload says."""
    held_us: float
    """From mapped to unmapped, waits for a CPU and the lock included; mean over the maps."""
    point: Point

    @property
    def mean_mapped(self) -> float:
        """Mappings in force at once on the mean, by Little's law."""
        return self.point.maps_per_s * self.held_us / 1e6


_HELD_COLUMNS: Columns = {
    "tasks": "tasks",
    "mean block us": lambda held: "as it is" if held.block_us is None else f"{held.block_us:,.0f}",
    "mean held us": "held_us:,.0f",
    "maps/s": "point.maps_per_s:,.0f",
    "mean mapped at once": "mean_mapped:,.1f",
    "most mapped at once": "point.totals.max_mapped:,",
    "sleeps": "point.totals.sleeps:,",
}


def hold_longer(runner: Runner, build: Experiment, more_tasks: int = 0, mean_block_ns: int = 0) -> Held:
    """Replay the compile with an event log; with a mean block, every mapping blocks for such a time."""
    tasks = read_workload(build.workload).workload.tasks + more_tasks
    if mean_block_ns:
        block = {"probability": 1.0, "time": {"dist": "exponential", "mean_ns": mean_block_ns}}
        kinds = ("page_fault", "copy_to_user", "copy_from_user")
        build = replace(build, changes={"tasks": tasks} | {f"kinds.{kind}.block": block for kind in kinds})
    held_ns = sql([runner.run(build).path], "SELECT avg(done_ns - mapped_ns) FROM operations").item()
    return Held(tasks, mean_block_ns / 1e3 or None, held_ns / 1e3, runner.point(build))


def describe_compiles(compiles: Sequence[Held], needed_ns: float) -> str:
    """Say how far the compile is from a sleep, and when it comes to one."""
    real, *_ = compiles
    words = (
        f"The compile maps {real.point.maps_per_s:,.0f} pages a second, holds each for {real.held_us:,.0f} "
        f"us and has at most {real.point.totals.max_mapped} mapped at once, {real.mean_mapped:.1f} on the "
        f"mean: to have {SLOTS} mapped on the mean it would have to hold each for {needed_ns / 1e6:.1f} ms "
        "(Little's law). "
    )
    slept = next((held for held in compiles if held.point.totals.sleeps), None)
    most = max((c.point.totals.max_mapped for c in compiles if not c.point.totals.sleeps), default=0)
    if most > SLOTS:
        words += f"Up to {most} mappings at once found room, because some are of the same page. "
    if slept is None or slept.block_us is None:
        return f"{words}No lengthening tried makes a task sleep."
    return (
        f"{words}Lengthened, tasks first sleep when each mapping blocks for {slept.block_us / 1e3:.1f} ms on "
        f"the mean, {1e3 * slept.block_us / needed_ns:.2f} of that, with waits for a CPU and the lock held "
        f"for {slept.held_us / 1e3:.1f} ms."
    )


def verdict(runner: Runner) -> Verdict:
    """Count simultaneous maps up to the first sleep, and ask how near a compile comes to it."""
    found = [replace(a, first=find_first_sleep(runner, a.experiment)) for a in arrangements()]
    outcome, because = judge(found)
    compiles = [hold_longer(runner, _BUILD)]
    needed_ns = SLOTS / compiles[0].point.maps_per_s * 1e9
    # As many tasks more as are blocked on the mean, so that as many as before are left to work.
    compiles += [
        hold_longer(runner, _BUILD, round(factor * SLOTS), round(factor * needed_ns))
        for factor in _LENGTHENED
    ]
    storm = arrangements()[0].experiment
    build = _BUILD.conditions()
    return Verdict(
        "256 simultaneous maps are needed before any task sleeps",
        "linux-kernel, March 2002",
        outcome,
        f"{because} {describe_compiles(compiles, needed_ns)}",
        f"{storm.conditions()}. Compile: {build[0].lower()}{build[1:]}",
        [
            Table.of(
                found,
                {
                    "arrangement": "name",
                    "slots such a map may take": "slots",
                    "slots in all": "all_slots",
                    "first to sleep": lambda a: "-" if a.first is None else f"map {a.first}",
                },
            ),
            Table.of(
                compiles,
                _HELD_COLUMNS,
                f"The compile through global_pool with {SLOTS} slots: as it is, then with a block in every "
                "mapping, and as many tasks more as are blocked on the mean:",
            ),
        ],
        "the number of simultaneous maps (`--ops`), the pool, and whether the tasks want one page or a page "
        "each; in the compile, how long mappings last and how many tasks there are.",
        "that tasks map one after another and none unmaps before the last has mapped; in the compile, how "
        "often and how long mappings block. Where a sleep begins is counting and rests on no price; "
        f"{describe_costs('numaq16', 'switch_ns', 'wake_ns')}. The tasks begin on all CPUs evenly, which is "
        "the best case of a pool per CPU: where they crowd, one CPU's slots alone decide (see claim e).",
        replace(storm, operations=SLOTS + 1).commands(),
    )
