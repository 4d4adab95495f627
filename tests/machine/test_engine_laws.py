"""Small runs whose every number can be worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.machine.engine.records import S_DEADLOCK, S_FINISHED
from pipeline.schema.codes import E_FINDING, E_IPI, E_PIN_WAIT, STALE_TRANSLATION
from tests.machine.runs import machine, mutate_allocator, rows, simulate


def test_one_task_that_never_hits_flushes_once_per_pool_of_misses(tmp_path: Path) -> None:
    # Bligh's average cost: each map looks at one slot; each N maps pay one pass and one flush.
    slots, misses = 5, 103
    profile = machine(tmp_path, 1, probe_ns=7, scan_slot_ns=11, tlb_flush_ns=300, tlb_refill_ns=50)
    outcome = simulate(
        "global_pool", profile, rows(misses, page=np.arange(misses)), options={"slots": str(slots)}
    )
    assert outcome.totals["misses"] == outcome.totals["probed"] == misses
    assert outcome.totals["flushes"] == misses // slots
    assert outcome.totals["map_ns"] == misses * 7 + misses // slots * (slots * 11 + 300 + 50)
    assert outcome.operations["slot"].tolist() == [(k + 1) % slots for k in range(misses)]


@pytest.mark.parametrize("held", [1, 3])
def test_slots_held_for_long_make_flushes_as_frequent_as_the_rest_is_small(held: int, tmp_path: Path) -> None:
    slots, misses = 6, 100
    task = np.r_[np.arange(held), np.full(misses, held)]
    block_ns = np.where(task < held, 10**9, 0)
    # The holders come first: the stream begins when they have mapped.
    trace = rows(len(task), task=task, page=np.arange(len(task)), block_ns=block_ns, think_ns=task >= held)
    outcome = simulate("global_pool", machine(tmp_path, 2), trace, options={"slots": str(slots)})
    assert outcome.totals["flushes"] == misses // (slots - held)
    assert outcome.totals["misses"] == held + misses


def test_each_flush_takes_handler_and_refill_from_every_other_cpu(tmp_path: Path) -> None:
    # Task 0 flushes at every second miss, while task 1 computes and two CPUs idle.
    profile = machine(
        tmp_path, 4, ipi_send_ns=3, ipi_latency_ns=20, ipi_handler_ns=100, tlb_refill_ns=40, tlb_flush_ns=10
    )
    task = np.r_[np.zeros(20, int), 1]
    think_ns = np.where(task == 0, 1_000, 100_000)
    outcome = simulate(
        "global_pool", profile, rows(21, task=task, page=np.arange(21), think_ns=think_ns),
        options={"slots": "2"},
    )  # fmt: skip
    flushes = 10
    assert outcome.totals["flushes"] == flushes
    assert outcome.totals["ipis"] == len(outcome.of_kind(E_IPI)) == 3 * flushes
    assert outcome.time_in("interrupted") == 3 * flushes * (100 + 40)
    assert outcome.operations["asked_ns"][20] == 100_000 + flushes * (100 + 40)
    # The sender waits for the third answer, then refills its own TLB.
    assert outcome.time_in("flush") == flushes * (3 * 3 + 20 + 100 + 40)


# Both tasks belong to CPU 0: task 0 blocks in its mapping until 100, task 2 computes from 50 to 250.
CROWDED = rows(
    2, time_ns=[0, 250], task=[0, 2], page=[0, 1], think_ns=[0, 200], block_ns=[100, 0], hold_ns=[5, 0]
)


def test_a_pinned_task_waits_for_its_own_cpu_while_another_idles(tmp_path: Path) -> None:
    outcome = simulate("percpu_pinned", machine(tmp_path, 2), CROWDED)
    assert outcome.operations["pin_wait_ns"].tolist() == [150, 0]
    assert outcome.totals["pin_waits"] == 1
    assert outcome.of_kind(E_PIN_WAIT)["value"].tolist() == [1], "one CPU was idle"
    assert outcome.operations["done_ns"].tolist() == [255, 250]


def test_an_unpinned_task_moves_to_the_idle_cpu_instead(tmp_path: Path) -> None:
    outcome = simulate("global_pool", machine(tmp_path, 2), CROWDED)
    assert outcome.operations["done_ns"].tolist() == [105, 250]
    assert outcome.operations["cpu_unmap"].tolist() == [1, 0]
    assert outcome.totals["migrations"] == 1


# Two tasks hold both slots, one for 1,000 ns and one for much longer; five more ask meanwhile and sleep.
HERD = {"task": range(7), "page": range(7), "time_ns": range(7), "block_ns": [1_000, 10**6, *[1_000] * 5]}


@pytest.mark.parametrize(
    ("wake", "sleeps"),
    [
        ("all", 5 + 4 + 3 + 2 + 1),  # one of the herd gets the slot, the others sleep again
        ("one", 5),
    ],
)
def test_who_is_woken_takes_the_lock_again_and_all_but_one_sleep_again(
    wake: str, sleeps: int, tmp_path: Path
) -> None:
    options = {"slots": "2", "wake": wake}
    outcome = simulate("global_pool", machine(tmp_path, 1), rows(7, **HERD), options=options)
    assert outcome.status == S_FINISHED
    assert outcome.totals["sleeps"] == outcome.totals["woken"] == sleeps
    assert outcome.totals["wakes"] == 5
    assert outcome.sites["acquisitions"].tolist() == [7 + sleeps, 7]
    assert outcome.operations["done_ns"].max() == 10**6 + 1
    assert sorted(outcome.operations["done_ns"])[:-1] == [1_000 * k for k in range(1, 7)]


# Two tasks map a page each, wait off CPU, and map another inside.
NESTED = rows(
    4, task=[0, 1, 0, 1], depth=[0, 0, 1, 1], page=range(4), wait_ns=[0, 0, 9, 9], time_ns=[0, 0, 9, 9]
)


@pytest.mark.parametrize(
    ("allocator", "options"), [("global_pool", {"slots": "2"}), ("percpu_pinned", {"slots_per_cpu": "2"})]
)
def test_nested_maps_that_wait_for_one_another_end_in_a_deadlock(
    allocator: str, options: dict[str, str], tmp_path: Path
) -> None:
    outcome = simulate(allocator, machine(tmp_path, 1), NESTED, options=options)
    assert outcome.status == S_DEADLOCK
    assert outcome.totals["live"] == 2
    assert outcome.totals["sleeps"] == 2
    assert outcome.totals["operations"] == 0
    assert outcome.problems == []


def test_with_a_third_slot_the_same_nested_maps_finish(tmp_path: Path) -> None:
    outcome = simulate("global_pool", machine(tmp_path, 1), NESTED, options={"slots": "3"})
    assert outcome.status == S_FINISHED
    assert outcome.totals["operations"] == 4


FORGOTTEN_FLUSHES = {
    "global_pool": ("colours * size, FLUSH_ALL, always)", "colours * size, 0, always)"),
    "percpu_pinned": ("    invalidate(a, d, slot)\n", ""),
}


@pytest.mark.parametrize("allocator", FORGOTTEN_FLUSHES)
def test_a_forgotten_flush_shows_as_a_stale_translation(allocator: str, tmp_path: Path) -> None:
    broken = mutate_allocator(
        tmp_path, f"unflushed_{allocator}", dict([FORGOTTEN_FLUSHES[allocator]]), allocator
    )
    trace = rows(6, page=np.arange(6))
    option = {broken.options[0].name: "3"}
    outcome = simulate(broken, machine(tmp_path, 1), trace, options=option)
    found = outcome.of_kind(E_FINDING)
    assert set(found["value"]) == {STALE_TRANSLATION}
    # global_pool comes back to a used slot at the fourth map, percpu_pinned at the second.
    assert found["op"].tolist() == ([3, 4, 5] if allocator == "global_pool" else [1, 2, 3, 4, 5])
    sound = simulate(allocator, machine(tmp_path, 1), trace, options=option)
    assert len(sound.of_kind(E_FINDING)) == 0


def test_a_forgotten_wake_up_shows_as_a_deadlock(tmp_path: Path) -> None:
    change = {"WAKE if slot.count == 1 and a.queues[s].sleepers > 0 else END": "END"}
    broken = mutate_allocator(tmp_path, "unwoken_pool", change, "global_pool")
    outcome = simulate(broken, machine(tmp_path, 1), rows(7, **HERD), options={"slots": "2"})
    assert outcome.status == S_DEADLOCK
    assert outcome.totals["live"] == 5
    assert outcome.lost_wakeups == ["5 tasks sleep although 2 slots are not in use"]
