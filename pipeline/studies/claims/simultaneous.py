"""Claim (a): 256 simultaneous maps are needed before any task sleeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.runs.figures import maps_per_s
from pipeline.schema.run import OPERATIONS_FILE
from pipeline.studies.claims.bench import Bench, Experiment, prices
from pipeline.studies.claims.bench_verdict import Figures, Outcome, Verdict
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
_BUILD_OPERATIONS = 100_000


@dataclass(frozen=True)
class FirstSleep:
    """The first of the simultaneous maps that sleeps; None: none of MOST_MAPS did."""

    arrangement: str
    slots: int
    """Slots that such a map may take; of all CPUs together, where each has its own."""
    all_slots: int
    shared: bool
    """One pool for all maps of this kind, with a page for each: what the claim is about."""
    at: int | None


@dataclass(frozen=True)
class Held:
    """A compile whose mappings last so and so long."""

    tasks: int
    mean_block_ns: int
    """What each mapping blocks for, on the mean; 0: as the workload says."""
    mean_held_ns: float
    """From mapped to unmapped, waits for a CPU and the lock included; mean over the maps."""
    maps_per_s: float
    max_mapped: int
    sleeps: int

    @property
    def mean_mapped(self) -> float:
        """Mappings in force at once on the mean, by Little's law."""
        return self.maps_per_s * self.mean_held_ns / 1e9


def judge(found: Sequence[FirstSleep]) -> tuple[Outcome, str]:
    """Say whether a map sleeps exactly when there are as many before it as the pool has slots."""
    pools = [first for first in found if first.shared]
    right = [first for first in pools if first.at == first.slots + 1 and first.slots == SLOTS]
    outcome: Outcome = "holds" if len(right) == len(pools) else "depends" if right else "does not hold"
    said = [
        f"{first.arrangement}: "
        + (
            f"none of {MOST_MAPS} maps sleeps"
            if first.at is None
            else f"map number {first.at} is the first to sleep"
        )
        for first in found
    ]
    return outcome, "; ".join(said) + "."


def first_sleep(bench: Bench, experiment: Experiment, most: int = MOST_MAPS) -> int | None:
    """Smallest number of simultaneous maps with which one of them sleeps; None if `most` is not enough.

    Fewer operations are a prefix of the same trace, so more maps never sleep less.
    """

    def sleeps(maps: int) -> bool:
        return bench.manifest(replace(experiment, operations=maps)).totals.sleeps > 0

    if not sleeps(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sleeps(middle) else (middle, high)
    return high


def arrangements() -> list[tuple[str, Experiment, int, int, bool]]:
    """Pools of 256 slots: name, experiment, slots for such maps, slots in all, whether the claim means it."""

    def on(allocator: str, options: dict[str, int | str], **changes: Any) -> Experiment:
        return Experiment(
            "fault_storm", allocator, "numaq16", MOST_MAPS, HOLD_AT_ONCE | changes, options, cpus=16
        )

    per_cpu = SLOTS // 16
    return [
        ("global_pool, a page each", on("global_pool", {"slots": SLOTS}), SLOTS, SLOTS, True),
        (
            f"series_pool of 2 x {SLOTS}, page tables only",
            on("series_pool", {"series": 2, "slots": SLOTS}), SLOTS, 2 * SLOTS, True,
        ),
        (
            f"series_pool of 2 x {SLOTS // 2}, page tables only",
            on("series_pool", {"series": 2, "slots": SLOTS // 2}), SLOTS // 2, SLOTS, False,
        ),
        (
            "global_pool, the same page",
            on("global_pool", {"slots": SLOTS}, **ONE_PAGE), SLOTS, SLOTS, False,
        ),
        (
            f"percpu_pinned, 16 CPUs x {per_cpu}",
            on("percpu_pinned", {"slots_per_cpu": per_cpu}), SLOTS, SLOTS, False,
        ),
    ]  # fmt: skip


def held(bench: Bench, build: Experiment, more_tasks: int = 0, mean_block_ns: int = 0) -> Held:
    """Replay the compile; with more tasks and a mean block, lengthened to that."""
    tasks = read_workload(build.workload).workload.tasks + more_tasks
    changes = lengthened(tasks, mean_block_ns) if mean_block_ns else {}
    run = bench.run(replace(build, changes=changes, events="full"))
    log = pq.read_table(run.path / OPERATIONS_FILE, columns=["mapped_ns", "done_ns"])
    totals = run.manifest.totals
    return Held(
        tasks,
        mean_block_ns,
        pc.mean(pc.subtract(log["done_ns"], log["mapped_ns"])).as_py(),
        maps_per_s(totals),
        totals.max_mapped,
        totals.sleeps,
    )


def lengthened(tasks: int, mean_block_ns: int) -> dict[str, Any]:
    """Changes of kernel_build that make every mapping block, for an exponential time."""
    block = {"probability": 1.0, "time": {"dist": "exponential", "mean_ns": mean_block_ns}}
    return {
        "tasks": tasks,
        "kinds.page_fault.block": block,
        "kinds.copy_to_user.block": block,
        "kinds.copy_from_user.block": block,
    }


def verdict(bench: Bench) -> Verdict:
    """Count simultaneous maps up to the first sleep, and ask how near a compile comes to it."""
    found = [
        FirstSleep(name, slots, all_slots, shared, first_sleep(bench, experiment))
        for name, experiment, slots, all_slots, shared in arrangements()
    ]
    outcome, because = judge(found)
    build = Experiment(
        "kernel_build", "global_pool", "numaq16", _BUILD_OPERATIONS, {}, {"slots": SLOTS}, cpus=16
    )
    compiles = [held(bench, build)]
    needed_ns = SLOTS / compiles[0].maps_per_s * 1e9
    # As many tasks more as are blocked on the mean, so that as many as before are left to work.
    compiles += [
        held(bench, build, round(factor * SLOTS), round(factor * needed_ns)) for factor in _LENGTHENED
    ]
    return Verdict(
        "256 simultaneous maps are needed before any task sleeps",
        "linux-kernel, March 2002",
        outcome,
        because + " " + compared(compiles, needed_ns),
        build_conditions(build),
        ("arrangement", "slots such a map may take", "slots in all", "first to sleep"),
        [
            (
                first.arrangement,
                str(first.slots),
                str(first.all_slots),
                "-" if first.at is None else f"map {first.at}",
            )
            for first in found
        ],
        further=[
            Figures(
                f"The compile through global_pool with {SLOTS} slots: as it is, then with a block in every "
                "mapping, and as many tasks more as are blocked on the mean:",
                (
                    "tasks", "mean block us", "mean held us", "maps/s", "mean mapped at once",
                    "most mapped at once", "sleeps",
                ),
                [
                    (
                        str(c.tasks), f"{c.mean_block_ns / 1e3:,.0f}" if c.mean_block_ns else "as it is",
                        f"{c.mean_held_ns / 1e3:,.0f}", f"{c.maps_per_s:,.0f}",
                        f"{c.mean_mapped:,.1f}", f"{c.max_mapped:,}", f"{c.sleeps:,}",
                    )
                    for c in compiles
                ],
            )
        ],
        varied="the number of simultaneous maps (`--ops`), the pool, and whether the tasks want one page or "
        "a page each; in the compile, how long mappings last and how many tasks there are.",
        assumed="that tasks map one after another and none unmaps before the last has mapped; in the "
        "compile, how often and how long mappings block. Where a sleep begins is counting and rests on no "
        "price; "
        + prices("numaq16", "switch_ns", "wake_ns")
        + ". The tasks begin on all CPUs evenly, which is the best case of a pool per CPU: where they crowd, "
        "one CPU's slots alone decide (see claim e).",
        commands=replace(arrangements()[0][1], operations=SLOTS + 1).commands(),
    )  # fmt: skip


def compared(compiles: Sequence[Held], needed_ns: float) -> str:
    """Say how far the compile is from a sleep, and when it comes to one."""
    real, *longer = compiles
    said = (
        f"The compile maps {real.maps_per_s:,.0f} pages a second, holds each for "
        f"{real.mean_held_ns / 1e3:,.0f} us and has at most {real.max_mapped} mapped at once, "
        f"{real.mean_mapped:.1f} on the mean: to have {SLOTS} mapped on the mean it would have to hold "
        f"each for {needed_ns / 1e6:.1f} ms (Little's law). "
    )
    slept = next((h for h in longer if h.sleeps), None)
    most = max((c.max_mapped for c in compiles if not c.sleeps), default=0)
    if most > SLOTS:
        said += f"Up to {most} mappings at once found room, because some are of the same page. "
    return said + (
        "No lengthening tried makes a task sleep."
        if slept is None
        else f"Lengthened, tasks first sleep when each mapping blocks for {slept.mean_block_ns / 1e6:.1f} ms "
        f"on the mean, {slept.mean_block_ns / needed_ns:.2f} of that, with waits for a CPU and the lock held "
        f"for {slept.mean_held_ns / 1e6:.1f} ms."
    )


def build_conditions(build: Experiment) -> str:
    """Conditions of both parts."""
    first = arrangements()[0][1]
    return f"{first.conditions()}. Compile: {build.conditions()[0].lower()}{build.conditions()[1:]}"
