from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, SLEEP, STEP, WAKE_ALL, WAKE_ONE
from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import MISS
from tests.machine.oracle import MOST_NESTED, THOROUGH, AllocatorMachine, PerCpuPools, wander
from tests.machine.runs import mutate_allocator
from tests.machine.steps import Task


class PerCpuPinnedMachine(AllocatorMachine):
    """`percpu_pinned` against `PerCpuPools`, at every step: none of them is shared between CPUs."""

    allocator = load_allocator("percpu_pinned")

    @initialize(
        slots_per_cpu=st.integers(1, 3),
        wait_pinned=st.booleans(),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots_per_cpu: int, wait_pinned: bool, cpus: int, tasks: int, nested: int) -> None:
        options = {"slots_per_cpu": str(slots_per_cpu), "wait_pinned": str(wait_pinned).lower()}
        self.lay_out(options, cpus, tasks, nested)
        self.oracle = PerCpuPools(cpus, slots_per_cpu)
        self.wait_pinned = wait_pinned
        self.owe_wake: set[int] = set()

    def answered(self, task: Task) -> None:
        r = task.request
        assert task.action in (DONE, SLEEP, STEP, WAKE_ALL, WAKE_ONE), "no lock and no interrupt"
        if r.unmapping:
            self._unmapped(task)
        elif task.action == SLEEP:
            assert self.oracle.full(task.cpu)
            assert task.argument == task.cpu
            self.oracle.sleepers[task.cpu].append(task.number)
        else:
            assert task.action == DONE
            assert r.served == MISS
            assert r.invalidations == 1
            self.oracle.take(task.cpu, r.slot)
        waits_pinned = task.action == SLEEP and self.wait_pinned
        assert task.pinned == len(task.mapped) + waits_pinned - (r.unmapping and task.action != DONE)

    def _unmapped(self, task: Task) -> None:
        if task.action == DONE:
            assert task.number not in self.owe_wake
            return
        assert self.oracle.free(task.cpu, task.request.slot) == (task.action != STEP)
        if task.action != STEP:
            assert task.action == (WAKE_ONE if self.wait_pinned else WAKE_ALL)
            assert task.argument == task.cpu
            self.owe_wake.add(task.number)

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        if action in (WAKE_ALL, WAKE_ONE):
            self.owe_wake.remove(task.number)
            sleepers = self.oracle.sleepers[task.cpu]
            count = 1 if self.wait_pinned else len(sleepers)
            assert [sleeper.number for sleeper in woken] == sleepers[:count]
            del sleepers[:count]

    def compare(self) -> None:
        state = self.bench.state
        taken = {s for s in range(len(state.slots)) if state.slots[s].mapped}
        assert taken == set().union(*self.oracle.taken.values())
        for cpu in range(self.oracle.cpus):
            assert int(state.percpu[cpu].mapped) == len(self.oracle.taken[cpu])
            assert [task.number for task in self.bench.queues[cpu]] == self.oracle.sleepers[cpu]

    def quiet(self) -> None:
        super().quiet()
        for cpu, sleepers in self.oracle.sleepers.items():
            assert not sleepers or self.oracle.full(cpu)


def test_the_per_cpu_pools_do_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(PerCpuPinnedMachine, settings=THOROUGH)


def walk(machine: PerCpuPinnedMachine, slots_per_cpu: int, wait_pinned: bool) -> Counter[int]:
    """Wander with more tasks than slots, some of which nest."""
    start = partial(
        machine.start, slots_per_cpu=slots_per_cpu, wait_pinned=wait_pinned, cpus=3, tasks=12, nested=2
    )
    return wander(machine, slots_per_cpu, 4_000, start)


@pytest.mark.parametrize("wait_pinned", [True, False])
@pytest.mark.parametrize("slots_per_cpu", [1, 2, 3])
def test_the_per_cpu_pools_do_what_the_oracle_says_on_a_long_walk(
    slots_per_cpu: int, wait_pinned: bool
) -> None:
    taken = walk(PerCpuPinnedMachine(), slots_per_cpu, wait_pinned)
    assert min(taken[DONE], taken[SLEEP], taken[WAKE_ONE if wait_pinned else WAKE_ALL]) > 50


MISTAKES = {
    "the invalidation at map is forgotten": ("    invalidate(a, d, slot)\n", ""),
    "the task is not pinned while it maps": ("    pin(d)\n    slot =", "    slot ="),
    "the task stays pinned": ("    write_pte(d)\n    unpin(d)\n", "    write_pte(d)\n"),
    "a waiter stays pinned when it need not": (
        "        if a.options[0].wait_pinned:\n            pin(d)\n",
        "        pin(d)\n",
    ),
    "only one waiter is woken, which may go elsewhere": (
        "WAKE_ONE if a.options[0].wait_pinned else WAKE_ALL",
        "WAKE_ONE",
    ),
    "waiters sleep in one queue": ("        d.queue = d.cpu\n        return SLEEP", "        return SLEEP"),
    "nobody is woken": ("a.queues[d.cpu].sleepers > 0", "False"),
    "a freed slot is lost": ("    head.free = slot + 1\n", ""),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_pools_in_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken_percpu", dict([MISTAKES[mistake]]), "percpu_pinned")

    class Broken(PerCpuPinnedMachine):
        allocator = broken

    with pytest.raises(AssertionError):
        for wait_pinned in (True, False):
            walk(Broken(), 2, wait_pinned)
