"""Every hazard is found where a design or a machine has it, and nowhere else; nothing ever hangs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.allocators.registry import DesignFile
from pipeline.machine.simulator.records import E_FINDING, F_STARVATION, S_DEADLOCK, S_FINISHED
from pipeline.runs.schema import FINDINGS
from pipeline.trace.schema import KINDS

from .runs import Outcome, Rows, changed_design, machine, rows, simulate

FAULT, COPY = KINDS.index("page_fault"), KINDS.index("copy_to_user")


def found(outcome: Outcome) -> set[str]:
    """Hazards by name, as a manifest would list them."""
    names = {list(FINDINGS)[code] for code in outcome.of_kind(E_FINDING)["value"]}
    names |= {"deadlock"} if outcome.status == S_DEADLOCK else set()
    names |= {"invariant"} if outcome.problems else set()
    return names | ({"lost_wakeup"} if outcome.stranded else set())


def crowd(tasks: int, pages: int, each: int = 20, block_ns: int = 500) -> Rows:
    """Tasks that all map pages of a few, each for longer than it takes the others to come."""
    turn, task = np.divmod(np.arange(tasks * each), tasks)
    return rows(tasks * each, task=task, page=(task * 7 + turn) % pages, block_ns=block_ns)


SLOTS = {"slots": "4"}
POOLS = ["global_pool", "series_pool", "global_pool_invlpg", "clairvoyant"]
APART = ["deferred_flush", "split_pool"]
STALE, UNDERFLOW, LOST, INVARIANT = "stale_translation", "count_underflow", "lost_wakeup", "invariant"
NO_FLUSH = {"    return freed > 0 or always\n": "    return False\n"}
NO_FLUSH_APART = {"        if flush.freed > 0:\n": "        if flush.freed > 9_999:\n"}
NO_WAKE = {"WAKE if slot.count == 1 and a.queues[s].sleepers > 0 else END": "END"}
NO_WAKE_APART = {"                r.step = _WAKE_ALL\n": "                pass\n"}
NO_INVALIDATION = {"                invalidate_everywhere(a, d, k)\n": "                pass\n"}
TOO_MUCH = {"        slot.count -= 1\n": "        slot.count -= 2\n"}
BROKEN = [
    *[(design, STALE, NO_FLUSH) for design in ("global_pool", "series_pool", "clairvoyant")],
    *[(design, STALE, NO_FLUSH_APART) for design in APART],
    ("global_pool_invlpg", STALE, NO_INVALIDATION),
    ("always_flush", STALE, {"    return FLUSH_ALL\n": "    return 0\n"}),
    ("percpu_pinned", STALE, {"    invalidate(a, d, slot)\n": ""}),
    *[(design, UNDERFLOW, TOO_MUCH) for design in [*POOLS, *APART]],
    ("always_flush", UNDERFLOW, {"        slot.users -= 1\n": "        slot.users -= 2\n"}),
    *[(design, LOST, NO_WAKE) for design in POOLS],
    *[(design, LOST, NO_WAKE_APART) for design in APART],
    ("always_flush", LOST, {"                r.step = _WAKE\n": "                pass\n"}),
    ("percpu_pinned", LOST, {"a.queues[d.cpu].sleepers > 0": "False"}),
    *[(design, INVARIANT, {"a.slots[cached].count += 1": "a.slots[cached].count += 2"}) for design in POOLS],
]  # fmt: skip


def replay(directory: Path, design: str | DesignFile, trace: Rows) -> Outcome:
    name = design if isinstance(design, str) else design.name
    few = {"slots_per_cpu": "1"} if "percpu" in name else SLOTS
    return simulate(design, machine(directory, 3, probe_ns=10, ipi_handler_ns=100), trace, options=few)


@pytest.mark.parametrize("design", [*POOLS, *APART, "always_flush", "percpu_pinned"])
def test_a_sound_design_meets_none_of_them(design: str, tmp_path: Path) -> None:
    outcome = replay(tmp_path, design, crowd(12, pages=9))
    assert found(outcome) == set()
    assert outcome.status == S_FINISHED
    assert outcome.totals["sleeps"] > 0


@pytest.mark.parametrize(("design", "hazard", "change"), BROKEN, ids=lambda value: str(value)[:30])
def test_a_broken_design_is_found_by_the_same_operations(
    design: str, hazard: str, change: dict[str, str], tmp_path: Path
) -> None:
    broken = changed_design(tmp_path, f"broken_{design}", change, design)
    # A newcomer that flushes would wake those who were forgotten.
    trace = crowd(12, pages=12, each=1, block_ns=50_000) if hazard == LOST else crowd(12, pages=9)
    assert hazard in found(replay(tmp_path, broken, trace))


# Each task maps a page for a copy, waits off CPU, and maps a page table inside.
TWO_MAPS = rows(
    8, task=[0, 1, 2, 3] * 2, depth=[0] * 4 + [1] * 4, page=range(8), kind=[COPY] * 4 + [FAULT] * 4,
    wait_ns=[0] * 4 + [9] * 4, time_ns=[0] * 4 + [9] * 4,
)  # fmt: skip


@pytest.mark.parametrize(
    ("design", "options", "hazards"),
    [
        ("global_pool", {}, {"deadlock"}),
        ("global_pool", {"reserve": "2"}, set()),
        ("series_pool", {}, set()),
        ("series_pool", {"series": "1"}, {"deadlock"}),
        ("deferred_flush", {}, {"deadlock"}),
        ("split_pool", {}, {"deadlock"}),
        ("always_flush", {}, {"deadlock"}),
        ("clairvoyant", {}, {"deadlock"}),
    ],
)
def test_two_maps_for_each_task_deadlock_unless_they_have_series_or_slots_are_set_aside(
    design: str, options: dict[str, str], hazards: set[str], tmp_path: Path
) -> None:
    outcome = simulate(design, machine(tmp_path, 2), TWO_MAPS, options=SLOTS | options)
    assert found(outcome) == hazards


@pytest.mark.parametrize(
    ("arbitration", "passes", "starves"), [("unfair", 50, True), ("unfair", 0, False), ("fifo", 50, False)]
)
def test_who_is_passed_over_too_often_starves(
    arbitration: str, passes: int, starves: bool, tmp_path: Path
) -> None:
    # The lock's line always gets to the three CPUs of its node before the one of the other.
    profile = machine(
        tmp_path, 6, nodes=2, arbitration=arbitration, shared_entry_ns=100, handoff_local_ns=10,
        handoff_remote_ns=10_000, handoff_spread_percent=50, starvation_passes=passes,
    )  # fmt: skip
    task = np.tile(np.arange(4), 300)
    outcome = simulate("global_pool", profile, rows(1_200, task=task, page=task))
    assert found(outcome) == ({"starvation"} if starves else set())
    if starves:
        assert set(outcome.of_kind(E_FINDING)["task"].tolist()) == {3}
        assert set(outcome.of_kind(E_FINDING)["value"].tolist()) == {F_STARVATION}
