from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.registry import load_design
from pipeline.machine.simulator.actions import DONE, FLUSH_ALL, HIT, MISS, SLEEP, UNLOCK, WAKE_ALL, WAKE_ONE

from .oracle import MOST_NESTED, THOROUGH, Answer, DesignMachine, GlobalPool, wander
from .runs import changed_design
from .steps import Task


class GlobalPoolMachine(DesignMachine):
    """`global_pool` against `GlobalPool`, at every step that lets go of the lock."""

    design = load_design("global_pool")

    @initialize(
        slots=st.integers(2, 8),
        flush_if_any=st.booleans(),
        wake=st.sampled_from(["all", "one"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, flush_if_any: bool, wake: str, cpus: int, tasks: int, nested: int) -> None:
        options = {"slots": str(slots), "flush_if_any": str(flush_if_any).lower(), "wake": wake}
        self.lay_out(options, cpus, tasks, nested)
        self.oracle = GlobalPool(slots, flush_if_any)
        self.wake = WAKE_ALL if wake == "all" else WAKE_ONE
        self.owe_wake: set[int] = set()

    def answered(self, task: Task) -> None:
        request = task.request
        if task.action in (UNLOCK, SLEEP) and not request.unmapping:
            self._mapped_or_asleep(task)
        elif task.action == UNLOCK:
            if self.oracle.unmap(request.slot):
                self.owe_wake.add(task.number)
        elif task.action in (WAKE_ALL, WAKE_ONE):
            assert task.action == self.wake
            assert task.number in self.owe_wake
        elif task.action == DONE:
            assert task.number not in self.owe_wake

    def _mapped_or_asleep(self, task: Task) -> None:
        r = task.request
        slot = None if task.action == SLEEP else r.slot
        hit = slot is not None and r.served == HIT
        expected = self.oracle.map(r.page)
        assert Answer(slot, hit, r.probes, r.scans, r.freed, r.in_use, r.flushes) == expected
        assert r.scanned == r.scans * self.oracle.slots
        assert r.invalidations == 0
        if slot is None:
            self.oracle.sleepers.append(task.number)
        else:
            assert hit or r.served == MISS

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        if action in (WAKE_ALL, WAKE_ONE):
            self.owe_wake.remove(task.number)
            count = len(self.oracle.sleepers) if self.wake == WAKE_ALL else 1
            assert [sleeper.number for sleeper in woken] == self.oracle.sleepers[:count]
            del self.oracle.sleepers[:count]

    def compare(self) -> None:
        state = self.bench.state
        counts = {s: 1 + self.oracle.users[s] for s in self.oracle.page_in}
        assert {s: int(slot.count) for s, slot in enumerate(state.slots) if slot.count} == counts
        assert {s: int(state.slots[s].page) for s in counts} == self.oracle.page_in
        cached = {page: s for s, page in self.oracle.page_in.items()}
        assert {p: int(page.slot) - 1 for p, page in enumerate(state.pages) if page.slot} == cached
        assert int(state.pool[0].cursor) == self.oracle.cursor
        assert [task.number for task in self.bench.queues[0]] == self.oracle.sleepers

    def quiet(self) -> None:
        super().quiet()
        # With wake=one a sleeper that is woken and hits leaves the slot that was meant for it unused.
        if self.wake == WAKE_ALL and self.oracle.sleepers:
            assert len(self.oracle.page_in) == self.oracle.slots
            assert all(self.oracle.users.values())


def test_the_pool_does_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(GlobalPoolMachine, settings=THOROUGH)


def walk(machine: GlobalPoolMachine, slots: int, wake: str) -> Counter[int]:
    """Wander with twice as many tasks as slots, some of which nest."""
    options = {"slots": slots, "flush_if_any": slots % 2 == 0, "wake": wake}
    start = partial(machine.start, **options, cpus=3, tasks=2 * slots, nested=2)
    return wander(machine, slots, 4_000, start)


@pytest.mark.parametrize("wake", ["all", "one"])
@pytest.mark.parametrize("slots", [2, 3, 5, 8])
def test_the_pool_does_what_the_oracle_says_on_a_long_walk(slots: int, wake: str) -> None:
    machine = GlobalPoolMachine()
    taken = walk(machine, slots, wake)
    assert min(taken[DONE], taken[SLEEP], taken[FLUSH_ALL], taken[machine.wake]) > 20


MISTAKES = {
    "the first slot is 0": ("SUMMARY =", "def prepare(a, shape):\n    a.pool[0].cursor = -1\n\n\nSUMMARY ="),
    "the flush at a wrap is forgotten": (
        "return freed > 0 or not a.options[0].flush_if_any",
        "return False",
    ),
    "a page is not forgotten when its slot is": ("            a.pages[slot.page].slot = 0\n", ""),
    "the budget is not renewed at a wrap": (
        "    pool.cursor = 0\n    r.budget = a.options[0].slots\n",
        "    pool.cursor = 0\n",
    ),
    "a hit does not count": ("            a.slots[cached].count += 1\n", ""),
    "nobody is woken": ("_WAKE if slot.count == 1 and a.queues[0].sleepers > 0 else _END", "_END"),
    "flush_if_any is ignored": ("freed > 0 or not a.options[0].flush_if_any", "True"),
    "one is woken where all should be": ("WAKE_ONE if a.options[0].wake == 1 else WAKE_ALL", "WAKE_ONE"),
    "a slot in use is freed": (
        "if slot.count == 1:\n            slot.count = 0",
        "if slot.count:\n            slot.count = 0",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_a_pool_in_which(mistake: str, tmp_path: Path) -> None:
    broken = changed_design(tmp_path, "broken", dict([MISTAKES[mistake]]), "global_pool")

    class Broken(GlobalPoolMachine):
        design = broken

    with pytest.raises(AssertionError):
        for slots in (2, 3, 5):
            walk(Broken(), slots, "all")
