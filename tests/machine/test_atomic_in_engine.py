"""Atomic maps on the machine: what blocks does so before, nobody is preempted, who sleeps is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.machine.engine.records import CLOSED, S_DEADLOCK, S_FINISHED, TIMED
from pipeline.schema.codes import (
    E_FINDING,
    FALLBACK,
    MISS,
    NESTING_OVERFLOW,
    SLEEP_WHILE_ATOMIC,
    STALE_TRANSLATION,
)
from pipeline.schema.names import KINDS
from tests.machine.runs import Outcome, Rows, machine, rows, simulate

FAULT, COPY = KINDS.index("page_fault"), KINDS.index("copy_to_user")


def replay(directory: Path, trace: Rows, cpus: int = 1, loop: int = CLOSED, **options: str) -> Outcome:
    profile = machine(directory, cpus, local_entry_ns=1, pte_write_ns=10, invalidate_ns=100, timeslice_ns=500)
    return simulate("atomic", profile, trace, options=options, loop=loop)


def found(outcome: Outcome) -> set[int]:
    return set(outcome.of_kind(E_FINDING)["value"].tolist())


MAP_NS = 1 + 10 + 100
PREFAULT_NS = 2


def test_what_would_block_while_mapped_happens_before_the_mapping_is_asked_for(tmp_path: Path) -> None:
    outcome = replay(tmp_path, rows(1, page=3, kind=COPY, hold_ns=40, block_ns=5_000))
    op = outcome.operations[0]
    asked = PREFAULT_NS + 5_000
    assert op["asked_ns"] == asked
    assert op["mapped_ns"] == asked + MAP_NS
    assert op["done_ns"] == asked + MAP_NS + 40
    assert outcome.totals["map_ns"] == MAP_NS
    assert outcome.time_in("idle") == 5_000
    assert found(outcome) == set()


def test_while_one_task_prefaults_another_has_the_cpu(tmp_path: Path) -> None:
    trace = rows(2, task=[0, 1], page=[0, 1], kind=FAULT, hold_ns=40, block_ns=[5_000, 0])
    outcome = replay(tmp_path, trace)
    assert outcome.operations["done_ns"].tolist() == [5_000 + MAP_NS + 40, MAP_NS + 40]
    assert outcome.operations["slot"].tolist() == [1024, 1024], "both in the same slot of the same CPU"


@pytest.mark.parametrize(("at_unmap", "unmap_ns"), [("false", 0), ("true", 10 + 100)])
def test_the_address_is_invalidated_once_at_map_or_at_unmap(
    at_unmap: str, unmap_ns: int, tmp_path: Path
) -> None:
    trace = rows(20, page=np.arange(20), kind=FAULT)
    outcome = replay(tmp_path, trace, invalidate_at_unmap=at_unmap)
    spent = outcome.operations["done_ns"] - outcome.operations["unmap_asked_ns"]
    assert spent.tolist() == [unmap_ns] * 20
    assert outcome.totals["map_ns"] == 20 * (MAP_NS - (100 if unmap_ns else 0))
    assert outcome.totals["local_flushes"] == 20
    assert outcome.totals["flushes"] == outcome.totals["ipis"] == outcome.sites["acquisitions"].sum() == 0
    assert found(outcome) == set()


def test_a_copy_that_faults_again_pays_the_vain_attempt_and_blocks_under_a_persistent_map(
    tmp_path: Path,
) -> None:
    trace = rows(1, page=3, kind=COPY, hold_ns=400, block_ns=5_000)
    op = replay(tmp_path, trace, refault_per_1000="1000").operations[0]
    assert (op["served"], op["slot"]) == (FALLBACK, 1)
    # Prefault, atomic map, the whole use in vain; then the pool writes its PTE.
    assert op["mapped_ns"] - op["asked_ns"] == PREFAULT_NS + MAP_NS + 400 + 10
    assert op["unmap_asked_ns"] - op["mapped_ns"] == 400 + 5_000


def test_the_share_of_copies_that_fall_back_is_as_asked_and_page_tables_never_do(tmp_path: Path) -> None:
    count = 2_000
    trace = rows(count, page=np.arange(count), kind=np.where(np.arange(count) % 3 == 0, FAULT, COPY))
    outcome = replay(tmp_path, trace, refault_per_1000="100")
    fell_back = outcome.operations["served"] == FALLBACK
    assert outcome.totals["fallbacks"] == fell_back.sum()
    assert fell_back[trace.kind == COPY].mean() == pytest.approx(0.1, abs=0.01)
    assert set(outcome.operations["served"][trace.kind == FAULT]) == {MISS}


@pytest.mark.parametrize("loop", [CLOSED, TIMED], ids=["closed", "timed"])
def test_a_task_is_not_preempted_while_it_holds_an_atomic_map(loop: int, tmp_path: Path) -> None:
    # The nested operation comes after four time slices; another task waits for the CPU all the while.
    trace = rows(
        3, task=[0, 1, 0], depth=[0, 0, 1], page=[0, 1, 2], kind=FAULT, time_ns=[0, 0, 2_000],
        think_ns=[0, 0, 2_000], hold_ns=[2_000, 0, 0],
    )  # fmt: skip
    outcome = replay(tmp_path, trace, loop=loop)
    operations = outcome.operations
    assert operations["mapped_ns"][1] >= operations["done_ns"][0] >= 2_000
    assert operations["slot"].tolist() == [1024, 1024, 1025]
    assert found(outcome) == set()
    assert outcome.problems == []


def test_being_early_for_a_recorded_time_is_not_sleeping(tmp_path: Path) -> None:
    trace = rows(2, depth=[0, 1], page=[0, 1], kind=FAULT, time_ns=[0, 2_000], think_ns=[0, 10])
    outcome = replay(tmp_path, trace, loop=TIMED)
    assert outcome.operations["asked_ns"].tolist() == [0, 2_000]
    assert outcome.time_in("idle") == 0
    assert found(outcome) == set()


# A copy that maps two page tables while it has its page, the second of them within a directory: waits and
# blocks of what is inside, 20 + 30 + (10 + (5 + 15)), are part of what is round it.
DEEP = rows(
    4, depth=[0, 1, 1, 2], page=range(4), kind=[COPY, FAULT, FAULT, FAULT], time_ns=[0, 200, 400, 500],
    think_ns=[0, 7, 7, 7], hold_ns=[100, 9, 40, 9], wait_ns=[0, 20, 10, 5], block_ns=[95, 30, 20, 15],
)  # fmt: skip


@pytest.mark.parametrize("loop", [CLOSED, TIMED], ids=["closed", "timed"])
def test_what_nested_operations_wait_for_was_fetched_before_and_is_not_waited_for_again(
    loop: int, tmp_path: Path
) -> None:
    outcome = replay(tmp_path, DEEP, loop=loop)
    assert outcome.time_in("idle") == 95
    assert outcome.operations["asked_ns"][0] == PREFAULT_NS + 95
    assert found(outcome) == set()


def test_prefaulting_makes_nobody_wait_longer_or_shorter_only_earlier(tmp_path: Path) -> None:
    persistent = simulate("direct_map", machine(tmp_path, 1), DEEP)
    prefaulted = simulate("atomic", machine(tmp_path, 1), DEEP)
    assert prefaulted.wall_ns == persistent.wall_ns == 100 + 95
    assert prefaulted.spent.tolist() == persistent.spent.tolist()


@pytest.mark.parametrize(("wait_ns", "block_ns"), [(28, 0), (0, 28), (14, 14)])
def test_what_goes_beyond_the_prefault_is_slept_for_within_the_map(
    wait_ns: int, block_ns: int, tmp_path: Path
) -> None:
    trace = rows(
        2, depth=[0, 1], page=[0, 1], kind=[COPY, FAULT], hold_ns=[90, 9], wait_ns=[0, wait_ns],
        block_ns=[20, block_ns],
    )  # fmt: skip
    outcome = replay(tmp_path, trace)
    assert outcome.time_in("idle") == 28
    assert found(outcome) == {SLEEP_WHILE_ATOMIC}


def test_a_copy_that_faults_again_has_fetched_nothing_before(tmp_path: Path) -> None:
    outcome = replay(tmp_path, DEEP, refault_per_1000="1000")
    assert outcome.operations["asked_ns"][0] == 0
    assert outcome.time_in("idle") == 95
    # The copy holds a persistent map; only the directory, mapped atomically, prefaults what is inside of it.
    assert found(outcome) == set()


# Within the mapping of task 0: a wait, or a nested operation that blocks. Task 1 has the CPU meanwhile.
@pytest.mark.parametrize("inside", ["wait_ns", "block_ns"])
def test_sleeping_within_an_atomic_map_is_found_with_what_comes_of_it(inside: str, tmp_path: Path) -> None:
    trace = rows(
        3, task=[0, 1, 0], depth=[0, 0, 1], page=[0, 1, 2], kind=FAULT, time_ns=[0, 0, 200],
        hold_ns=[40, 40, 0], **{inside: [0, 0, 3_000]},
    )  # fmt: skip
    outcome = replay(tmp_path, trace)
    assert outcome.status == S_FINISHED
    sleeping = outcome.of_kind(E_FINDING)[0]
    assert [sleeping[name] for name in ("value", "task", "op", "slot")] == [SLEEP_WHILE_ATOMIC, 0, 2, 1024]
    # Task 1 has taken the slot of this depth on this CPU: task 0 comes back to another page.
    assert found(outcome) == {SLEEP_WHILE_ATOMIC, STALE_TRANSLATION}


def test_tasks_that_sleep_for_the_pool_within_atomic_maps_are_found_and_do_not_hang(tmp_path: Path) -> None:
    # Three copies fall back on a pool of two slots, each within an atomic map, and keep their slots for long.
    trace = rows(
        6, task=[0, 1, 2] * 2, depth=[0] * 3 + [1] * 3, page=range(6), kind=[FAULT] * 3 + [COPY] * 3,
        time_ns=[0] * 3 + [10] * 3, block_ns=[0] * 3 + [9_000] * 3,
    )  # fmt: skip
    outcome = replay(tmp_path, trace, cpus=3, refault_per_1000="1000", slots="2")
    assert outcome.status == S_FINISHED
    assert SLEEP_WHILE_ATOMIC in found(outcome)
    assert outcome.totals["sleeps"] == 1


def test_a_deadlock_over_the_pool_is_found_as_one(tmp_path: Path) -> None:
    trace = rows(
        4, task=[0, 1, 0, 1], depth=[0, 0, 1, 1], page=range(4), kind=COPY, wait_ns=[0, 0, 9, 9],
        time_ns=[0, 0, 9, 9],
    )  # fmt: skip
    outcome = replay(tmp_path, trace, refault_per_1000="1000", slots="2")
    assert outcome.status == S_DEADLOCK
    assert found(outcome) == set()
    assert outcome.problems == []


def test_nesting_deeper_than_there_are_slots_is_found(tmp_path: Path) -> None:
    trace = rows(2, depth=[0, 1], page=[0, 1], kind=FAULT, hold_ns=[40, 0])
    outcome = replay(tmp_path, trace, nesting="1")
    assert outcome.status == S_FINISHED
    # The outer mapping finds its slot taken over by the inner one.
    assert found(outcome) == {NESTING_OVERFLOW, STALE_TRANSLATION}
    assert found(replay(tmp_path, trace, nesting="2")) == set()
