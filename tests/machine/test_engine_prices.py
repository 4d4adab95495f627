"""What a lock, a directed flush, a second lock and a time slice cost, each worked out by hand."""

from pathlib import Path

import pytest

from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import E_FLUSH, E_IPI, E_SCAN, E_SWITCH
from pipeline.studies.theory.runs import ONE_LOCK
from tests.machine.runs import machine, mutate_allocator, rows, simulate


def test_spinners_slow_the_release_and_the_hand_off(tmp_path: Path) -> None:
    profile = machine(
        tmp_path,
        3,
        shared_entry_ns=100,
        hold_per_spinner_ns=10,
        handoff_local_ns=50,
        handoff_per_spinner_ns=5,
    )
    trace = rows(3, task=range(3), page=range(3))
    outcome = simulate(ONE_LOCK, profile, trace)
    # Held 100 and delayed by two spinners, handed over past one more spinner; then by and past one fewer.
    first_release, second_release = 100 + 20, 100 + 20 + 55 + 100 + 10
    assert outcome.operations["map_hold_ns"].tolist() == [120, 110, 100]
    assert outcome.operations["map_wait_ns"].tolist() == [0, first_release + 55, second_release + 50]
    assert outcome.operations["holder"].tolist() == [-1, 0, 0]
    assert outcome.time_in("spin") == outcome.operations["map_wait_ns"].sum()


def test_a_hand_off_to_another_node_takes_longer(tmp_path: Path) -> None:
    profile = machine(tmp_path, 4, nodes=2, shared_entry_ns=100, handoff_local_ns=10, handoff_remote_ns=70)
    outcome = simulate(ONE_LOCK, profile, rows(4, task=range(4), page=range(4)))
    assert outcome.operations["map_wait_ns"].tolist() == [0, 110, 280, 390]


DIRECTED = """
from pipeline.allocators.api.actions import DONE, FLUSH_LOCAL, FLUSH_MASK, LOCK, UNLOCK
from pipeline.allocators.api.effects import touch
from pipeline.schema.codes import DIRECT
from pipeline.jit.marks import inline

SUMMARY = "map: take lock 0 or 1 by page, release; unmap: flush CPUs 0 and 2, then the own CPU"


def locks(options, shape):
    return 2


@inline
def map_step(a, r, d):
    r.step += 1
    d.lock = r.page % 2
    if r.step == 1:
        return LOCK
    touch(d, 1)
    r.served = DIRECT
    return UNLOCK if r.step == 2 else DONE


@inline
def unmap_step(a, r, d):
    r.step += 1
    d.cpu_mask = 0b0101
    return FLUSH_MASK if r.step == 1 else FLUSH_LOCAL if r.step == 2 else DONE
"""


@pytest.fixture
def directed(tmp_path: Path) -> str:
    path = tmp_path / "directed.py"
    path.write_text(DIRECTED)
    return str(path)


def test_a_directed_flush_interrupts_only_the_cpus_it_names(directed: str, tmp_path: Path) -> None:
    profile = machine(
        tmp_path, 4, ipi_send_ns=2, ipi_latency_ns=30, ipi_handler_ns=100, tlb_flush_ns=7, tlb_refill_ns=40
    )
    outcome = simulate(
        load_allocator(directed), profile, rows(2, task=[1, 0], page=[1, 0], think_ns=[0, 999])
    )
    # CPU 1 flushes CPUs 0 and 2, later CPU 0 only CPU 2: itself it need not interrupt.
    assert outcome.of_kind(E_IPI)[["cpu", "other"]].tolist() == [(0, 1), (2, 1), (2, 0)]
    first, second = outcome.operations["done_ns"] - outcome.operations["unmap_asked_ns"]
    directed_ns, local_ns = 2 + 30 + 100 + 40, 7 + 40
    assert (first, second) == (directed_ns + 2 + local_ns, directed_ns + local_ns)
    assert (outcome.totals["flushes"], outcome.totals["full_local_flushes"]) == (2, 2)
    # The task on CPU 0 computed meanwhile, and was interrupted once.
    assert outcome.operations["asked_ns"].tolist() == [0, 999 + 140]


def test_holders_of_different_locks_do_not_wait_for_one_another(directed: str, tmp_path: Path) -> None:
    profile = machine(tmp_path, 3, shared_entry_ns=100)
    outcome = simulate(load_allocator(directed), profile, rows(3, task=range(3), page=[0, 1, 2]))
    assert outcome.operations["map_wait_ns"].tolist() == [0, 0, 100]


def test_computing_tasks_take_turns_of_a_time_slice(tmp_path: Path) -> None:
    profile = machine(tmp_path, 1, timeslice_ns=40, switch_ns=1)
    outcome = simulate("direct_map", profile, rows(2, task=[0, 1], page=[0, 1], think_ns=100))
    # Turns of 40, 40, 40, 40, 20 and 20, with a switch before each.
    assert outcome.operations["asked_ns"].tolist() == [40 * 4 + 20 + 5, 40 * 4 + 40 + 6]
    assert outcome.of_kind(E_SWITCH)["task"].tolist() == [0, 1, 0, 1, 0, 1]
    assert outcome.time_in("compute") == 200


def test_a_task_that_computes_alone_keeps_its_cpu_past_its_time_slice(tmp_path: Path) -> None:
    profile = machine(tmp_path, 1, timeslice_ns=40, switch_ns=1)
    outcome = simulate("direct_map", profile, rows(1, think_ns=100))
    assert outcome.operations["asked_ns"].tolist() == [101]


def test_waking_only_one_can_leave_a_sleeper_beside_a_free_slot(tmp_path: Path) -> None:
    # Tasks 2 and 3 want the same page: when each is woken by a freed slot, they share one, and task 4,
    # for which the other would do, sleeps until both have unmapped. Waking all has no such waste.
    trace = rows(
        5, task=range(5), page=[0, 1, 2, 2, 3], time_ns=range(5), block_ns=[100, 200, 5_000, 5_000, 50]
    )
    asleep_until = {
        wake: simulate(
            "global_pool", machine(tmp_path, 1), trace, options={"slots": "2", "wake": wake}
        ).operations["mapped_ns"][4]
        for wake in ("one", "all")
    }
    assert asleep_until["all"] == 201
    assert asleep_until["one"] == 5_201


def test_a_lock_costs_the_way_of_its_line_from_the_cpu_that_had_it_last(tmp_path: Path) -> None:
    prices = {"atomic_ns": 3, "line_transfer_ns": 50, "shared_entry_ns": 10}
    # Tasks 0 and 1 on two CPUs, one after the other: the line comes from memory, then from the other CPU.
    trace = rows(4, task=[0, 0, 1, 1], page=0, time_ns=[0, 0, 1_000, 1_000])
    outcome = simulate(ONE_LOCK, machine(tmp_path, 2, **prices), trace)
    taken = outcome.operations["locked_ns"] - outcome.operations["asked_ns"]
    assert taken.tolist() == [53, 3, 53, 3]
    assert outcome.operations["map_wait_ns"].tolist() == [0] * 4
    assert outcome.operations["map_hold_ns"].tolist() == [10] * 4


def test_a_kernel_for_one_cpu_has_no_lock_to_pay_for(tmp_path: Path) -> None:
    outcome = simulate(ONE_LOCK, machine(tmp_path, 1, atomic_ns=3, line_transfer_ns=50), rows(3, task=0))
    assert (outcome.operations["locked_ns"] == outcome.operations["asked_ns"]).all()


def test_a_pass_costs_what_it_looks_at_and_what_it_frees_and_no_more_for_what_is_in_use(
    tmp_path: Path,
) -> None:
    profile = machine(tmp_path, 2, scan_slot_ns=1, free_slot_ns=100)
    # Slots 1 to 3 map pages 0 to 2; the fourth map wraps while page 0 is in use.
    trace = rows(4, task=[0, 1, 1, 1], page=range(4), hold_ns=[10_000, 0, 0, 0])
    outcome = simulate("global_pool", profile, trace, options={"slots": "4"})
    (scan,) = outcome.of_kind(E_SCAN)
    assert (scan["value"], scan["other"], scan["duration_ns"]) == (4, 2, 4 * 1 + 2 * 100)


FLUSHES_SOME = """
from pipeline.allocators.api.actions import DONE, FLUSH_ALL
from pipeline.allocators.api.effects import flush_range, write_pte
from pipeline.allocators.api.contract import Option
from pipeline.jit.marks import inline
from pipeline.schema.codes import MISS

SUMMARY = "the slot of a task is flushed everywhere at its map, with those beside it"
OPTIONS = (Option("slots", 8, help="slots"), Option("range", 2, help="slots of a flush"))


@inline
def map_step(a, r, d):
    r.step += 1
    r.slot = r.task
    r.served = MISS
    if r.step == 1:
        flush_range(d, r.task, a.options[0].range)
        return FLUSH_ALL
    return DONE


@inline
def unmap_step(a, r, d):
    return DONE
"""
FLUSH_PRICES = {
    "ipi_send_ns": 2, "ipi_latency_ns": 30, "ipi_handler_ns": 100, "tlb_flush_ns": 7, "tlb_refill_ns": 1_000,
    "invalidate_ns": 11,
}  # fmt: skip


@pytest.fixture
def flushes_some(tmp_path: Path) -> str:
    path = tmp_path / "flushes_some.py"
    path.write_text(FLUSHES_SOME)
    return str(path)


@pytest.mark.parametrize(("slots", "flush_ns"), [(2, 2 + 30 + 100 + 2 * 11), (3, 2 + 30 + 100 + 1_000)])
def test_a_flush_of_few_addresses_invalidates_each_and_a_longer_one_all(
    slots: int, flush_ns: int, flushes_some: str, tmp_path: Path
) -> None:
    profile = machine(tmp_path, 2, flush_range_slots=2, **FLUSH_PRICES)
    outcome = simulate(load_allocator(flushes_some), profile, rows(1), options={"range": str(slots)})
    assert outcome.of_kind(E_FLUSH)["duration_ns"].tolist() == [flush_ns]
    assert outcome.of_kind(E_IPI)["duration_ns"].tolist() == [flush_ns - 32]


def test_a_broadcast_of_a_range_takes_each_address_and_waits_once(flushes_some: str, tmp_path: Path) -> None:
    profile = machine(tmp_path, 2, broadcast=1, broadcast_ns=500, flush_range_slots=8, invalidate_ns=11)
    outcome = simulate(load_allocator(flushes_some), profile, rows(1), options={"range": "5"})
    assert outcome.of_kind(E_FLUSH)["duration_ns"].tolist() == [5 * 11 + 500]


@pytest.mark.parametrize("range_slots", [1, 2])
def test_a_flush_of_addresses_ends_their_translations_and_no_others(
    range_slots: int, flushes_some: str, tmp_path: Path
) -> None:
    profile = machine(tmp_path, 1, flush_range_slots=2, walk_ns=1)
    # Task 0 flushes slot 0, or 0 and 1, before each of its maps; task 1 has slot 1, and flushes it too.
    mutated = mutate_allocator(tmp_path, "own", {"r.task, a.options": "0, a.options"}, flushes_some)
    trace = rows(4, task=[1, 0, 1, 0], page=[1, 0, 1, 0], time_ns=[0, 100, 200, 300])
    outcome = simulate(mutated, profile, trace, options={"range": str(range_slots)})
    # Slot 0 is walked each time; slot 1 only if the flush was of it as well.
    assert outcome.totals["walks"] == (3 if range_slots == 1 else 4)


@pytest.mark.parametrize(("queue", "second_ns"), [(0, 2 + 100), (1, 101 + 2 + 100)])
def test_flushes_that_queue_begin_when_the_one_before_is_over(
    queue: int, second_ns: int, flushes_some: str, tmp_path: Path
) -> None:
    prices = {"ipi_latency_ns": 2, "ipi_handler_ns": 100}
    profile = machine(tmp_path, 2, flushes_queue=queue, **prices)
    outcome = simulate(load_allocator(flushes_some), profile, rows(2, task=[0, 1], time_ns=[0, 1]))
    first, second = outcome.of_kind(E_FLUSH)
    assert (first["time_ns"], first["duration_ns"], second["time_ns"]) == (0, 102, 1)
    assert second["duration_ns"] == second_ns


@pytest.mark.parametrize("after", [0, 10, 50, 250])
def test_a_task_that_becomes_ready_preempts_one_that_has_computed_long_enough(
    after: int, tmp_path: Path
) -> None:
    profile = machine(tmp_path, 1, timeslice_ns=300, preempt_after_ns=after)
    # Task 1 becomes ready at 19 and computes for 1; task 0 computes for 1,000 from 0 on.
    trace = rows(2, task=[0, 1], page=[0, 1], think_ns=[1_000, 1], time_ns=[0, 20])
    outcome = simulate("direct_map", profile, trace)
    begun = max(19, after) if after else 300
    assert outcome.operations["asked_ns"].tolist() == [1_001, begun + 1]
    assert outcome.time_in("compute") == 1_001


def test_several_that_become_ready_cut_a_time_slice_no_shorter_than_one(tmp_path: Path) -> None:
    profile = machine(tmp_path, 1, timeslice_ns=300, preempt_after_ns=100, switch_ns=50)
    # Task 0 switches in until 50 and computes; tasks 1 and 2 become ready at 9 and 19, within the switch.
    trace = rows(3, task=[0, 1, 2], page=range(3), think_ns=[1_000, 1, 1], time_ns=[0, 10, 20])
    outcome = simulate("direct_map", profile, trace)
    assert outcome.operations["asked_ns"].tolist()[1:] == [150 + 50 + 1, 201 + 50 + 1]
