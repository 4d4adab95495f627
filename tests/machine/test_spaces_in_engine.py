"""Address spaces on the machine: a switch to another clears non-global entries, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.machine.engine.records import S_DEADLOCK, S_FINISHED
from pipeline.schema.codes import E_FINDING, E_IPI, HIT, MISS, STALE_TRANSLATION
from tests.machine.runs import Outcome, Rows, machine, mutate_allocator, rows, simulate

PRICES = {"walk_ns": 7, "switch_ns": 100, "track_switch_ns": 50, "tlb_flush_ns": 1_000, "ipi_latency_ns": 5}


def replay(
    directory: Path,
    trace: Rows,
    cpus: int,
    processes: list[int],
    allocator: Any = "per_process",
    **options: str,
) -> Outcome:
    return simulate(
        allocator, machine(directory, cpus, **PRICES), trace, options={"slots": "4"} | options,
        process_of=processes,
    )  # fmt: skip


def found(outcome: Outcome) -> set[int]:
    return set(outcome.of_kind(E_FINDING)["value"].tolist())


# Two tasks on one CPU in turns: threads of one process, or not.
TURNS = rows(20, task=np.arange(20) % 2, page=np.arange(20) % 2, time_ns=np.arange(20), wait_ns=500)


@pytest.mark.parametrize(("processes", "walks"), [([0, 0], 2), ([0, 1], 20)], ids=["threads", "processes"])
def test_a_switch_to_another_process_empties_the_tlb_and_one_between_threads_does_not(
    processes: list[int], walks: int, tmp_path: Path
) -> None:
    outcome = replay(tmp_path, TURNS, 1, processes)
    assert outcome.totals["switches"] == 20
    assert outcome.totals["space_switches"] == (1 if processes == [0, 0] else 20)
    assert outcome.totals["walks"] == walks
    assert outcome.time_in("switch") == 20 * 100, "nothing is tracked"


def test_a_wrap_right_after_a_switch_flushes_nothing(tmp_path: Path) -> None:
    pages = np.arange(40)
    flushes = [
        replay(tmp_path, rows(40, task=pages % 2, page=pages, time_ns=pages, wait_ns=wait), 1, [0, 1]).totals[
            "full_local_flushes"
        ]
        for wait in (500, 0)
    ]
    # Taking turns, each finds the TLB emptied by the other; one after the other, nobody does.
    assert flushes == [0, 2 * (40 // 2 // 4)]


def test_a_process_that_ends_leaves_its_successor_an_empty_pool(tmp_path: Path) -> None:
    trace = rows(6, task=0, page=[0, 0, 0, 1, 0, 0])
    outcome = replay(tmp_path, trace, 1, [0], lifetime="2")
    # Each process maps twice: a miss and a hit, a miss of either page, a miss and a hit.
    assert outcome.operations["served"].tolist() == [MISS, HIT, MISS, MISS, MISS, HIT]
    assert outcome.totals["full_local_flushes"] == 2
    assert replay(tmp_path, trace, 1, [0]).totals["hits"] == 4


def test_a_process_ends_only_when_it_has_nothing_mapped(tmp_path: Path) -> None:
    # The outer mapping stays while the nested ones come and go.
    trace = rows(5, task=0, page=[0, 1, 1, 1, 1], depth=[0, 1, 1, 1, 1])
    outcome = replay(tmp_path, trace, 1, [0], lifetime="2")
    assert outcome.status == S_FINISHED
    assert not outcome.problems
    assert outcome.totals["hits"] == 3


def keeping(directory: Path, cpus: int) -> Any:
    """A machine whose TLBs tell address spaces apart."""
    return machine(directory, cpus, **PRICES, switch_empties_tlb=0)


def test_where_address_spaces_are_told_apart_a_switch_leaves_the_tlb(tmp_path: Path) -> None:
    outcome = simulate("per_process", keeping(tmp_path, 1), TURNS, options={"slots": "4"}, process_of=[0, 1])
    assert (outcome.totals["space_switches"], outcome.totals["walks"]) == (20, 2)
    assert outcome.time_in("switch") == 20 * 100


def test_a_process_whose_translations_were_ended_elsewhere_empties_the_tlb_when_it_comes_back(
    tmp_path: Path,
) -> None:
    # Threads 0 and 1 of one process on two CPUs; process 1 takes the CPU of thread 0, whose pool then wraps.
    count = 30
    trace = rows(
        2 * count + 2,
        task=[0, 2] + [1] * count + [0] * count,
        page=[0, 1, *range(count), *range(count)],
        time_ns=[0, 5_000, *range(10_000, 10_000 + count), *range(90_000, 90_000 + count)],
        wait_ns=[0, 0] + [1] * count + [90_000] + [0] * (count - 1),
    )
    outcome = simulate(
        "per_process", keeping(tmp_path, 2), trace, options={"slots": "4"}, process_of=[0, 0, 1]
    )
    assert outcome.status == S_FINISHED
    assert not found(outcome)
    assert outcome.totals["switches"] * 100 < outcome.time_in("switch"), "no TLB was emptied at a switch"


def test_an_epoch_pool_must_interrupt_where_switches_leave_the_tlb(tmp_path: Path) -> None:
    pages = np.arange(60)
    # Two processes on each of two CPUs take turns, so that switches are frequent.
    trace = rows(60, task=pages % 4, page=pages, time_ns=pages * 10, wait_ns=500)
    emptied, kept = (
        simulate("epoch_pool", profile, trace, options={"slots": "4"}, process_of=[0, 1, 2, 3])
        for profile in (machine(tmp_path, 2, **PRICES), keeping(tmp_path, 2))
    )
    assert not found(emptied) and not found(kept)
    assert kept.totals["ipis"] > emptied.totals["ipis"]


# Three threads on two CPUs: one that blocks while it has something mapped may go on elsewhere.
_EACH = np.arange(90)
THREADS = rows(
    90, task=_EACH % 3, page=_EACH, time_ns=_EACH * 10, think_ns=30, block_ns=50 + 17 * (_EACH % 7)
)


def test_a_wrap_interrupts_the_cpus_that_run_threads_of_the_process_and_no_other(tmp_path: Path) -> None:
    trace = rows(90, task=np.arange(90) % 3, page=np.arange(90), time_ns=np.arange(90) * 10, think_ns=30)
    outcome = replay(tmp_path, trace, 3, [0, 0, 1])
    interrupted = outcome.of_kind(E_IPI)[["cpu", "other"]].tolist()
    assert set(interrupted) <= {(0, 1), (1, 0)}
    assert interrupted
    assert outcome.totals["full_local_flushes"] > 0
    assert found(outcome) == set()


@pytest.mark.parametrize(
    ("cache", "old", "new"),
    [
        ("true", "    d.cpu_mask = others | this_cpu(d)\n", "    return FLUSH_LOCAL\n"),
        ("true", "        if mask != 0:\n", "        if False:\n"),
        ("false", "    invalidate_on(a, d, slot, others)\n", "    return STEP\n"),
        ("false", "        invalidate(a, d, slot)\n", "        pass\n"),
    ],
    ids=["other CPUs at a wrap", "any CPU at a wrap", "other CPUs at a map", "the own CPU at a map"],
)
def test_a_forgotten_invalidation_shows_as_a_stale_translation(
    cache: str, old: str, new: str, tmp_path: Path
) -> None:
    broken = mutate_allocator(tmp_path, "broken", {old: new}, "per_process")
    assert found(replay(tmp_path, THREADS, 2, [0, 0, 0], broken, cache=cache)) == {STALE_TRANSLATION}
    assert found(replay(tmp_path, THREADS, 2, [0, 0, 0], cache=cache)) == set()


def test_a_nested_map_beyond_the_slots_of_a_process_is_found_as_a_deadlock(tmp_path: Path) -> None:
    trace = rows(3, depth=[0, 1, 2], page=[0, 1, 2], hold_ns=[90, 40, 0])
    assert replay(tmp_path, trace, 1, [0], slots="2").status == S_DEADLOCK
    assert replay(tmp_path, trace, 1, [0], slots="3").status == S_FINISHED
