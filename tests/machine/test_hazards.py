"""Every hazard is found where a design or a machine has it, and nowhere else; nothing ever hangs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.registry import load_allocator, shipped_allocators
from pipeline.machine.engine.records import S_DEADLOCK, S_FINISHED
from pipeline.schema.codes import E_FINDING, STARVATION
from pipeline.schema.names import FINDINGS, KINDS
from tests.machine.runs import Outcome, Rows, machine, mutate_allocator, rows, simulate

FAULT, COPY = KINDS.index("page_fault"), KINDS.index("copy_to_user")


def found(outcome: Outcome) -> set[str]:
    """Hazards by name, as a manifest would list them."""
    names = {list(FINDINGS)[code] for code in outcome.of_kind(E_FINDING)["value"]}
    names |= {"deadlock"} if outcome.status == S_DEADLOCK else set()
    names |= {"invariant"} if outcome.problems else set()
    return names | ({"lost_wakeup"} if outcome.lost_wakeups else set())


def crowd(tasks: int, pages: int, each: int = 20, block_ns: int = 500) -> Rows:
    """Tasks that all map pages of a few, each for longer than it takes the others to come."""
    turn, task = np.divmod(np.arange(tasks * each), tasks)
    return rows(tasks * each, task=task, page=(task * 7 + turn) % pages, block_ns=block_ns)


EVERY = sorted(shipped_allocators())
# An allocator in which tasks sleep says which of them are lost; of atomic's, only those that fault again do.
NEVER_SLEEP = {name for name in EVERY if not hasattr(load_allocator(name).module, "lost_wakeups")} | {
    "atomic"
}
POOLS = ["global_pool", "series_pool", "global_pool_invlpg", "clairvoyant"]
APART = ["deferred_flush", "split_pool"]
OWN = ["percpu_cached", "per_process"]
# Designs for areas of an address space, whose unmaps do not flush.
AREAS = ["vmap_lazy", "vmap_block", "vmap_nodes"]
# Designs with a pool to fall back on.
BEHIND = ["mermap", "xen_mapcache"]
STALE, UNDERFLOW, LOST, INVARIANT = "stale_translation", "count_underflow", "lost_wakeup", "invariant"
NO_FLUSH = {"if freed > 0 or always:": "if False:"}
NO_FLUSH_APART = {"        if flush.freed > 0:\n": "        if flush.freed > 9_999:\n"}
NO_WAKE = {"WAKE if slot.count == 1 and a.queues[s].sleepers > 0 else END": "END"}
NO_WAKE_APART = {"            r.step = WAKE\n": "            pass\n"}
NO_INVALIDATION = {"                invalidate_everywhere(a, d, k)\n": "                pass\n"}
TOO_MUCH = {"    slot.count -= 1\n": "    slot.count -= 2\n"}
NO_FLUSH_OWN = {"                if r.mark > 0:\n": "                if r.mark > 9:\n"}
TOO_MUCH_OWN = {"before = slot.count\n    slot.count -= 1": "before = slot.count\n    slot.count -= 2"}
COUNTED_TWICE = {"a.slots[cached].count += 1": "a.slots[cached].count += 2"}
COUNTED_TWICE_OWN = {
    f"return False\n    {old}": f"return False\n    {new}" for old, new in COUNTED_TWICE.items()
}
BROKEN = [
    *[(allocator, STALE, NO_FLUSH) for allocator in ("global_pool", "series_pool", "clairvoyant")],
    *[(allocator, STALE, NO_FLUSH_APART) for allocator in APART],
    *[(allocator, STALE, NO_FLUSH_OWN) for allocator in OWN],
    ("global_pool_invlpg", STALE, NO_INVALIDATION),
    ("lockless_pool", STALE, {"    return FLUSH_ALL\n": "    return STEP\n"}),
    ("always_flush", STALE, {"    return FLUSH_ALL\n": "    return 0\n"}),
    ("percpu_pinned", STALE, {"    invalidate(a, d, slot)\n": ""}),
    ("epoch_pool", STALE, {"d, at, mask)": "d, at, 0)"}),
    ("sf_buf", STALE, {"d, r.slot, missing)": "d, r.slot, 0)"}),
    ("kmap_local", STALE, {"    if a.options[0].invalidate_at == _AT_UNMAP:\n": "    if False:\n"}),
    ("atomic", STALE, {"    if not a.options[0].invalidate_at_unmap:\n": "    if False:\n"}),
    ("mermap", STALE, {"    return FLUSH_LOCAL\n": "    return 0\n"}),
    ("xen_mapcache", STALE, {"r.step = _TAKEN\n    return FLUSH_LOCAL": "r.step = _TAKEN\n    return 0"}),
    ("vmap_global", STALE, {"        return FLUSH_ALL\n": "        return 0\n"}),
    ("vmap_lazy", STALE, {"return FLUSH_ALL if r.mark > 0 else STEP": "return STEP"}),
    ("vmap_block", STALE, {"return FLUSH_ALL if r.mark > 0 else STEP": "return STEP"}),
    ("vmap_nodes", STALE, {"FLUSH_ALL if _prepare_flush(a, d) else": "STEP if _prepare_flush(a, d) else"}),
    *[(allocator, UNDERFLOW, TOO_MUCH) for allocator in [*POOLS, *APART, *BEHIND, "epoch_pool"]],
    *[(allocator, UNDERFLOW, TOO_MUCH_OWN) for allocator in OWN],
    ("lockless_pool", UNDERFLOW, {"change_count(a, d, slot, -1)": "change_count(a, d, slot, -2)"}),
    ("sf_buf", UNDERFLOW, {"    a.slots[r.slot].users -= 1\n": "    a.slots[r.slot].users -= 2\n"}),
    ("always_flush", UNDERFLOW, {"    slot.users -= 1\n": "    slot.users -= 2\n"}),
    *[(allocator, LOST, NO_WAKE) for allocator in [*POOLS, *BEHIND, "epoch_pool"]],
    *[(allocator, LOST, NO_WAKE_APART) for allocator in APART],
    ("percpu_cached", LOST, {"not free or": "True or"}),
    ("per_process", LOST, {"WAKE if free and a.queues[r.process].sleepers > 0 else END": "END"}),
    ("lockless_pool", LOST, {"_WAKE if a.queues[0].sleepers > 0 else after": "after"}),
    ("sf_buf", LOST, {"        if a.queues[0].sleepers > 0:\n": "        if False:\n"}),
    ("always_flush", LOST, {"            r.step = WAKE\n": "            pass\n"}),
    ("vmap_global", LOST, {"a.queues[0].sleepers > 0": "False"}),
    ("vmap_lazy", LOST, {"too_many or a.pool[0].short == 1": "too_many"}),
    ("vmap_block", LOST, {"too_many or a.pool[0].short == 1": "too_many"}),
    ("vmap_nodes", LOST, {"r.mark == 1 or a.pool[0].full == 1": "r.mark == 1"}),
    ("percpu_pinned", LOST, {"a.queues[d.cpu].sleepers > 0": "False"}),
    *[(allocator, INVARIANT, COUNTED_TWICE) for allocator in POOLS],
    *[(allocator, INVARIANT, COUNTED_TWICE_OWN) for allocator in OWN],
    ("kmap_local", INVARIANT, {"    a.slots[r.slot].task = 0\n": ""}),
    ("atomic", INVARIANT, {"    a.slots[r.slot].count -= 1\n": ""}),
    *[(allocator, INVARIANT, {"    a.pool[0].lazy += a.slots[first].length\n": ""}) for allocator in AREAS],
    ("mermap", INVARIANT, {"        region.mapped -= 1\n": ""}),
    ("xen_mapcache", INVARIANT, {"    a.slots[slot].state = _GARBAGE\n": ""}),
]  # fmt: skip
USUAL = crowd(12, pages=9)
# A newcomer that flushes would wake those who were forgotten: here nobody comes late.
AT_ONCE = crowd(12, pages=12, each=1, block_ns=50_000)


FEW = {
    "percpu_cached": {"slots": "2"},
    "mermap": {"region_pages": "2", "entries": "2", "slots": "4"},
    "xen_mapcache": {"slots_per_cpu": "2", "slots": "4"},
    **{allocator: {"space_pages": "8"} for allocator in ("vmap_global", *AREAS)},
    "vmap_block": {"space_pages": "4", "block_pages": "1"},
}


def few_slots(allocator: str) -> dict[str, str]:
    """Options with which an allocator soon runs short of slots."""
    if allocator in FEW:
        return FEW[allocator]
    names = {option.name for option in load_allocator(allocator).options}
    few = {"slots_per_cpu": "1"} if "slots_per_cpu" in names else {"slots": "4"}
    return {name: value for name, value in few.items() if name in names}


def replay(directory: Path, allocator: str | Allocator, trace: Rows, **options: str) -> Outcome:
    """The trace on three CPUs with few slots, its tasks threads of one process."""
    name = allocator if isinstance(allocator, str) else allocator.name
    few = few_slots(name.removeprefix("broken_"))
    prices = machine(directory, 3, probe_ns=10, ipi_handler_ns=100)
    return simulate(allocator, prices, trace, options=few | options, process_of=[0] * (trace.task.max() + 1))


@pytest.mark.parametrize("allocator", EVERY)
def test_a_sound_design_meets_none_of_them(allocator: str, tmp_path: Path) -> None:
    for trace in (USUAL, AT_ONCE):
        outcome = replay(tmp_path, allocator, trace)
        assert found(outcome) == set()
        assert outcome.status == S_FINISHED
        assert (outcome.totals["sleeps"] > 0) == (allocator not in NEVER_SLEEP)


@pytest.mark.parametrize(("allocator", "hazard", "change"), BROKEN, ids=lambda value: str(value)[:30])
def test_a_broken_design_is_found_by_the_same_operations(
    allocator: str, hazard: str, change: dict[str, str], tmp_path: Path
) -> None:
    broken = mutate_allocator(tmp_path, f"broken_{allocator}", change, allocator)
    assert hazard in found(replay(tmp_path, broken, AT_ONCE if hazard == LOST else USUAL))


@pytest.mark.parametrize("allocator", EVERY)
def test_every_allocator_with_slots_is_broken_in_some_way(allocator: str) -> None:
    wanted = {STALE} if hasattr(load_allocator(allocator).module, "SLOT") else set()
    wanted |= set() if allocator in NEVER_SLEEP else {LOST}
    if missing := wanted - {hazard for name, hazard, _ in BROKEN if name == allocator}:
        pytest.skip(f"BROKEN has no change that gives {allocator} {' and '.join(sorted(missing))}; add one")


# Each task maps a page for a copy, waits off CPU, and maps a page table inside.
TWO_MAPS = rows(
    8, task=[0, 1, 2, 3] * 2, depth=[0] * 4 + [1] * 4, page=range(8), kind=[COPY] * 4 + [FAULT] * 4,
    block_ns=[9_000] * 4 + [0] * 4, wait_ns=[0] * 4 + [9_000] * 4, time_ns=[0] * 4 + [9] * 4,
)  # fmt: skip
DEADLOCK = {"deadlock"}


@pytest.mark.parametrize(
    ("allocator", "options", "hazards"),
    [
        *[
            (allocator, {}, DEADLOCK)
            for allocator in EVERY
            if allocator not in NEVER_SLEEP | {"series_pool", *BEHIND}
        ],
        *[(allocator, {}, set()) for allocator in BEHIND],
        *[(allocator, {}, set()) for allocator in sorted(NEVER_SLEEP)],
        ("global_pool", {"reserve": "2"}, set()),
        ("series_pool", {}, set()),
        ("series_pool", {"series": "1"}, DEADLOCK),
        ("per_process", {"semaphore": "true", "slots": "2"}, set()),
        ("percpu_pinned", {"slots_per_cpu": "4"}, set()),
        ("percpu_pinned", {"overflow": "global"}, set()),
    ],
)
def test_two_maps_for_each_task_deadlock_unless_they_have_series_or_slots_are_set_aside(
    allocator: str, options: dict[str, str], hazards: set[str], tmp_path: Path
) -> None:
    assert found(replay(tmp_path, allocator, TWO_MAPS, **options)) == hazards


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
        assert set(outcome.of_kind(E_FINDING)["value"].tolist()) == {STARVATION}
