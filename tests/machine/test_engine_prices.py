"""What a lock, a directed flush, a second lock and a time slice cost, each worked out by hand."""

from pathlib import Path

import pytest

from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import E_IPI, E_SWITCH
from pipeline.studies.theory.runs import ONE_LOCK
from tests.machine.runs import machine, rows, simulate


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
