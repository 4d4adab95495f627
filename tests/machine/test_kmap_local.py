"""Local kmaps against an oracle of stacks, and on the machine: switches rewrite what is mapped."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE
from pipeline.allocators.registry import load_allocator
from pipeline.machine.engine.records import S_FINISHED
from pipeline.schema.codes import E_FINDING, MISS, NESTING_OVERFLOW, STALE_TRANSLATION, UNMAP_OUT_OF_ORDER
from tests.machine.oracle import THOROUGH, AllocatorMachine, wander
from tests.machine.runs import Outcome, Rows, machine, mutate_allocator, rows, simulate
from tests.machine.steps import Bench, Task

NESTING = 4
AT = pytest.mark.parametrize("at", ["unmap", "map"])


class KmapLocalMachine(AllocatorMachine):
    """`stacks` has the CPU of each task's mappings, outermost first; a slot is of that CPU and depth."""

    allocator = load_allocator("kmap_local")

    @initialize(
        at=st.sampled_from(["unmap", "map"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, NESTING - 1),
    )
    def start(self, at: str, cpus: int, tasks: int, nested: int) -> None:
        self.lay_out({"nesting": str(NESTING), "invalidate_at": at}, cpus, tasks, nested)
        self.stacks: list[list[int]] = [[] for _ in range(tasks)]

    def answered(self, task: Task) -> None:
        r, stack = task.request, self.stacks[task.number]
        assert task.action == DONE, "no lock, no interrupt, no waiting"
        if r.unmapping:
            assert stack.pop() == task.cpu
        else:
            assert (r.slot, r.served) == (task.cpu * NESTING + len(stack), MISS)
            stack.append(task.cpu)
        # Once at map or once at unmap.
        assert r.invalidations <= 1
        assert not r.unmapping or (r.invalidations, r.pte_writes) == (1, 2)
        assert task.pinned == len(stack)

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        assert not woken

    def compare(self) -> None:
        assert [int(stack.depth) for stack in self.bench.state.pool] == [len(s) for s in self.stacks]
        loaded = {slot: int(r.task) - 1 for slot, r in enumerate(self.bench.state.slots) if r.task}
        assert loaded == {
            cpu * NESTING + depth: task.number
            for cpu, task in enumerate(self.bench.running)
            if task is not None
            for depth in range(len(self.stacks[task.number]))
        }


def test_local_maps_do_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(KmapLocalMachine, settings=THOROUGH)


def walk(machine: KmapLocalMachine, at: str) -> Counter[int]:
    return wander(machine, 5, 3_000, partial(machine.start, at, cpus=3, tasks=12, nested=NESTING - 1))


@AT
def test_local_maps_do_what_the_oracle_says_on_a_long_walk(at: str) -> None:
    assert walk(KmapLocalMachine(), at)[DONE] > 500


LEAVE = "-> None:\n    _unload(a, r, d)"
MISTAKES = {
    "the address is never invalidated": (
        "    if a.options[0].invalidate_at == _AT_UNMAP:\n",
        "    if False:\n",
    ),
    "a switch leaves the PTE": (LEAVE, LEAVE.replace("_unload(a, r, d)", "write_pte(d)")),
    "the task may move while it has something mapped": ("    pin(d)\n", ""),
    "the task stays bound": ("    unpin(d)\n", ""),
    "all CPUs have the same slots": ("d.cpu * a.options[0].nesting + depth", "depth"),
    "all depths have one slot": ("a.options[0].nesting + depth", "a.options[0].nesting"),
    "the stack is never popped": ("    stack.depth -= 1\n", ""),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_local_maps_in_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[mistake]]), "kmap_local")

    class Broken(KmapLocalMachine):
        allocator = broken

    with pytest.raises(AssertionError):
        for at in ("unmap", "map"):
            walk(Broken(), at)


def test_unmapping_another_than_the_innermost_is_found() -> None:
    bench = Bench(load_allocator("kmap_local"), {}, cpus=1, tasks=1, pages=2)
    task = bench.tasks[0]
    for page in (0, 1):
        bench.begin(task, 0, page)
        bench.step(task, 0)
    task.mapped.reverse()
    bench.begin(task, 0, None)
    with pytest.raises(AssertionError, match=f"finding {UNMAP_OUT_OF_ORDER}"):
        bench.step(task, 0)


# On the machine: one map or unmap is an entry, a PTE and, at one of the two, an invalidation.
PRICES = {
    "local_entry_ns": 1,
    "pte_write_ns": 10,
    "invalidate_ns": 100,
    "switch_ns": 1_000,
    "timeslice_ns": 500,
}
MAP_NS, UNMAP_NS = 11, 111
OUT_NS, IN_NS, SWITCH_NS = 110, 10, 1_000


def replay(
    directory: Path, trace: Rows, cpus: int = 1, allocator: object = "kmap_local", **options: str
) -> Outcome:
    return simulate(allocator, machine(directory, cpus, **PRICES), trace, options=options)  # type: ignore[arg-type]


def found(outcome: Outcome) -> set[int]:
    return set(outcome.of_kind(E_FINDING)["value"].tolist())


def test_a_task_that_blocks_while_mapped_pays_for_being_switched_out_and_in(tmp_path: Path) -> None:
    outcome = replay(tmp_path, rows(1, page=3, hold_ns=40, block_ns=5_000))
    op = outcome.operations[0]
    assert op["mapped_ns"] - op["asked_ns"] == MAP_NS
    # Its timer runs while it is switched out.
    assert op["unmap_asked_ns"] - op["mapped_ns"] == 5_000 + SWITCH_NS + IN_NS + 40
    assert op["done_ns"] - op["unmap_asked_ns"] == UNMAP_NS
    assert outcome.time_in("switch") == 2 * SWITCH_NS + OUT_NS + IN_NS
    assert outcome.totals["local_flushes"] == op["local_flushes"] == 2


def test_a_switch_with_nothing_mapped_costs_what_it_always_did(tmp_path: Path) -> None:
    outcome = replay(tmp_path, rows(40, task=np.arange(40) % 4, page=np.arange(40), think_ns=700))
    assert outcome.totals["switches"] > 20
    assert outcome.time_in("switch") == outcome.totals["switches"] * SWITCH_NS


def test_two_tasks_use_one_address_of_a_cpu_in_turns(tmp_path: Path) -> None:
    trace = rows(2, task=[0, 1], page=[0, 1], hold_ns=40, block_ns=[5_000, 200])
    outcome = replay(tmp_path, trace)
    assert outcome.operations["slot"].tolist() == [0, 0]
    assert found(outcome) == set()
    assert outcome.problems == []


def test_a_nested_operation_after_a_wait_finds_the_outer_mapping_switched_in(tmp_path: Path) -> None:
    trace = rows(
        3, task=[0, 1, 0], depth=[0, 0, 1], page=[0, 1, 2], time_ns=[0, 5, 9], wait_ns=[0, 0, 4_000],
        think_ns=[0, 0, 1_200], hold_ns=[5_000, 40, 0],
    )  # fmt: skip
    outcome = replay(tmp_path, trace)
    assert outcome.operations["slot"].tolist() == [0, 0, 1]
    assert outcome.status == S_FINISHED
    assert found(outcome) == set()


def test_a_switch_that_leaves_an_entry_in_the_tlb_shows_as_a_stale_translation(tmp_path: Path) -> None:
    trace = rows(2, task=[0, 1], page=[0, 1], hold_ns=40, block_ns=[5_000, 200])
    broken = mutate_allocator(
        tmp_path,
        "broken",
        {LEAVE: LEAVE.replace("_unload(a, r, d)", "write_pte(d)")},
        "kmap_local",
    )
    assert found(replay(tmp_path, trace, allocator=broken)) == {STALE_TRANSLATION}


def test_nesting_deeper_than_the_stack_is_found_and_does_not_hang(tmp_path: Path) -> None:
    trace = rows(3, depth=[0, 1, 2], page=[0, 1, 2], hold_ns=[90, 40, 0])
    outcome = replay(tmp_path, trace, nesting="3")
    assert outcome.status == S_FINISHED
    assert NESTING_OVERFLOW in found(outcome)
    assert found(replay(tmp_path, trace, nesting="4")) == set()
