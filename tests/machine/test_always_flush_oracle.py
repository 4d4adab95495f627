from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, SLEEP, UNLOCK, WAKE_ALL
from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import HIT, MISS
from tests.machine.oracle import MOST_NESTED, THOROUGH, AllocatorMachine, wander
from tests.machine.runs import mutate_allocator
from tests.machine.steps import Task


class AlwaysFlushMachine(AllocatorMachine):
    """`always_flush` against a dict of the pages in force: what is in no slot flushes, with the lock held."""

    allocator = load_allocator("always_flush")

    @initialize(
        slots=st.integers(2, 6),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, cpus: int, tasks: int, nested: int) -> None:
        self.lay_out({"slots": str(slots)}, cpus, tasks, nested)
        self.slots = slots
        self.users: Counter[int] = Counter()
        self.slot_of: dict[int, int] = {}
        self.sleepers: list[int] = []
        self.owe_wake: set[int] = set()

    def answered(self, task: Task) -> None:
        r = task.request
        assert task.action in (LOCK, UNLOCK, FLUSH_ALL, SLEEP, WAKE_ALL, DONE)
        if task.action == FLUSH_ALL:
            assert self.bench.holds(task) and r.page not in self.slot_of
            assert r.served == MISS and r.slot not in self.slot_of.values()
            assert 0 <= r.slot < self.slots
            self.slot_of[r.page] = r.slot
            self.users[r.page] += 1
        elif task.action == SLEEP:
            assert r.page not in self.slot_of and len(self.slot_of) == self.slots
            self.sleepers.append(task.number)
        elif task.action == UNLOCK and r.unmapping:
            self._unmapped(task)
        elif task.action == UNLOCK:
            assert r.flushes == (r.served == MISS)
            self.users[r.page] += r.served == HIT
            assert self.slot_of[r.page] == r.slot
        elif task.action == WAKE_ALL:
            assert task.number in self.owe_wake
        elif task.action == DONE:
            assert task.number not in self.owe_wake

    def _unmapped(self, task: Task) -> None:
        page = task.request.page
        self.users[page] -= 1
        if self.users[page] == 0:
            del self.slot_of[page]
            if self.sleepers:
                self.owe_wake.add(task.number)

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        if action == WAKE_ALL:
            self.owe_wake.remove(task.number)
            assert [sleeper.number for sleeper in woken] == self.sleepers
            self.sleepers.clear()

    def compare(self) -> None:
        state = self.bench.state
        users = {self.slot_of[page]: count for page, count in self.users.items() if count}
        assert {s: int(slot.users) for s, slot in enumerate(state.slots) if slot.users} == users
        mapped = {p: int(page.slot) - 1 for p, page in enumerate(state.pages) if page.slot}
        assert mapped == self.slot_of
        assert [task.number for task in self.bench.queues[0]] == self.sleepers

    def quiet(self) -> None:
        super().quiet()
        assert not self.sleepers or len(self.slot_of) == self.slots
        assert self.bench.module.lost_wakeups(self.bench.state, self.bench.live()) == []


def walk(machine: AlwaysFlushMachine, slots: int) -> Counter[int]:
    """Wander with twice as many tasks as slots, some of which nest."""
    return wander(machine, slots, 3_000, partial(machine.start, slots, cpus=3, tasks=2 * slots, nested=2))


def test_the_slots_do_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(AlwaysFlushMachine, settings=settings(THOROUGH, max_examples=60))


@pytest.mark.parametrize("slots", [2, 3, 5])
def test_the_slots_do_what_the_oracle_says_on_a_long_walk(slots: int) -> None:
    taken = walk(AlwaysFlushMachine(), slots)
    assert min(taken[DONE], taken[SLEEP], taken[FLUSH_ALL], taken[WAKE_ALL]) > 20


MISTAKES = {
    "a miss does not flush": ("    return FLUSH_ALL\n", "    return UNLOCK\n"),
    "the page is not forgotten": ("        a.pages[slot.page].slot = 0\n", ""),
    "a hit does not count": ("        a.slots[mapped].users += 1\n", ""),
    "a slot is lost": ("    head.free = slot + 1\n", ""),
    "nobody is woken": ("            r.step = WAKE\n", "            pass\n"),
    "a slot in use is free": ("    if slot.users == 0:\n", "    if slot.users <= 1:\n"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_slots_of_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[mistake]]), "always_flush")
    walker = type("Broken", (AlwaysFlushMachine,), {"allocator": broken})
    with pytest.raises(AssertionError):
        for slots in (2, 3, 5):
            walk(walker(), slots)
