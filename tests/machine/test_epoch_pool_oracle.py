from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, LOCK, SHOOT_DOWN, SLEEP, STEP, UNLOCK, WAKE_ALL, WAKE_ONE
from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import E_FINDING, HIT, MISS, STALE_TRANSLATION
from tests.machine.oracle import MOST_NESTED, THOROUGH, AllocatorMachine, wander
from tests.machine.runs import machine, mutate_allocator, rows, simulate
from tests.machine.steps import Task


class EpochPoolMachine(AllocatorMachine):
    """Slots in the order of a cursor; `stayed`: CPUs in some space at a release, and since when."""

    allocator = load_allocator("epoch_pool")

    @initialize(
        slots=st.integers(2, 6),
        wake=st.sampled_from(["all", "one"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        processes=st.integers(1, 3),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, wake: str, cpus: int, tasks: int, processes: int, nested: int) -> None:
        self.lay_out({"slots": str(slots), "wake": wake}, cpus, tasks, nested, min(processes, tasks))
        self.wake = WAKE_ALL if wake == "all" else WAKE_ONE
        self.slots = slots
        self.cursor = 0
        self.page_in: dict[int, int] = {}
        self.users: Counter[int] = Counter()
        self.stayed: dict[int, set[tuple[int, int]]] = {}
        self.sleepers: list[int] = []
        self.owe_wake: set[int] = set()

    def in_spaces(self) -> set[tuple[int, int]]:
        """CPUs that have run anything, with the moment they entered the address space they are in."""
        spaces = enumerate(self.bench.state.spaces)
        return {(cpu, int(space.emptied)) for cpu, space in spaces if space.process >= 0}

    def answered(self, task: Task) -> None:
        r = task.request
        assert task.action in (LOCK, STEP, SHOOT_DOWN, UNLOCK, SLEEP, self.wake, DONE)
        if task.action == SLEEP:
            assert r.page not in self.page_in.values()
            assert all(self.users[slot] for slot in range(self.slots))
            self.sleepers.append(task.number)
        elif task.action in (STEP, SHOOT_DOWN):
            self._missed(task)
        elif task.action == UNLOCK and r.unmapping:
            self._unmapped(task)
        elif task.action == UNLOCK and r.served == HIT:
            assert self.page_in[r.slot] == r.page
            self.users[r.slot] += 1
        if task.action == DONE:
            assert task.number not in self.owe_wake

    def _missed(self, task: Task) -> None:
        r = task.request
        assert r.served == MISS
        assert r.page not in self.page_in.values()
        assert not all(self.users[slot] for slot in range(self.slots))
        probed = 1
        while self.users[(self.cursor + probed) % self.slots]:
            probed += 1
        self.cursor = (self.cursor + probed) % self.slots
        assert (r.slot, r.probes) == (self.cursor, probed)
        still = {cpu for cpu, _ in self.stayed.get(r.slot, set()) & self.in_spaces()}
        assert r.invalidations == (task.cpu in still)
        others = {cpu for cpu in range(self.bench.shape.cpus) if r.mask >> cpu & 1}
        assert others == still - {task.cpu}
        assert (task.action == SHOOT_DOWN) == bool(others)
        self.page_in[r.slot] = r.page
        self.users[r.slot] = 1

    def _unmapped(self, task: Task) -> None:
        slot = task.request.slot
        self.users[slot] -= 1
        self.stayed[slot] = self.in_spaces()
        if not self.users[slot] and self.sleepers:
            self.owe_wake.add(task.number)

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        if action in (WAKE_ALL, WAKE_ONE):
            self.owe_wake.remove(task.number)
            count = len(self.sleepers) if self.wake == WAKE_ALL else 1
            assert [sleeper.number for sleeper in woken] == self.sleepers[:count]
            del self.sleepers[:count]

    def compare(self) -> None:
        slots = list(enumerate(self.bench.state.slots))
        assert {at: int(slot.page) for at, slot in slots if slot.count} == self.page_in
        assert all(int(slot.count) == self.users[at] + (at in self.page_in) for at, slot in slots)
        assert [task.number for task in self.bench.queues[0]] == self.sleepers


def test_the_pool_does_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(EpochPoolMachine, settings=settings(THOROUGH, max_examples=60))


def walk(machine: EpochPoolMachine, processes: int = 3) -> Counter[int]:
    """Wander with more tasks than slots, some of which nest."""
    start = partial(machine.start, 4, "all", cpus=3, tasks=9, processes=processes, nested=2)
    return wander(machine, 3, 2_000, start)


@pytest.mark.parametrize("processes", [1, 3])
def test_the_pool_does_what_the_oracle_says_on_a_long_walk(processes: int) -> None:
    taken = walk(EpochPoolMachine(), processes)
    assert min(taken[DONE], taken[SLEEP], taken[WAKE_ALL], taken[SHOOT_DOWN]) > 30


HIT_COUNTS = """a.slots[cached].count += 1
        r.slot = cached
        r.served = HIT
        r.step = _END"""
MISTAKES = {
    "the own CPU keeps the address": ("        invalidate(a, d, slot)\n", "        pass\n"),
    "other CPUs keep the address": ("    invalidate_on(a, d, slot, others)\n", "    return STEP\n"),
    "a release is not remembered": ("        a.slots[r.slot].released = d.moment\n", "        pass\n"),
    "a page is not forgotten when its slot is": (
        "if slot.count == 1:\n        a.pages[slot.page].slot = 0",
        "if slot.count == 1:",
    ),
    "a slot in use is taken": ("[pool.cursor].count <= 1", "[pool.cursor].count <= 2"),
    "a hit does not count": (HIT_COUNTS, HIT_COUNTS.replace("+= 1", "+= 0")),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_a_pool_in_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[mistake]]), "epoch_pool")
    with pytest.raises(AssertionError):
        for processes in (3, 1):
            walk(type("Broken", (EpochPoolMachine,), {"allocator": broken})(), processes)


_EACH = np.arange(120)


@pytest.mark.parametrize("mistake", ["the own CPU keeps the address", "other CPUs keep the address"])
def test_a_forgotten_invalidation_shows_as_a_stale_translation(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[mistake]]), "epoch_pool")
    block_ns = 50 + 17 * (_EACH % 5)
    trace = rows(120, task=_EACH % 3, page=_EACH % 7, time_ns=_EACH * 10, think_ns=30, block_ns=block_ns)
    findings = [
        set(
            simulate(allocator, machine(tmp_path, 2), trace, options={"slots": "4"}, process_of=[0, 0, 0])
            .of_kind(E_FINDING)["value"]
            .tolist()
        )
        for allocator in ("epoch_pool", broken)
    ]
    assert findings == [set(), {STALE_TRANSLATION}]


def test_only_switches_to_another_address_space_are_dearer_and_save_the_interrupts(tmp_path: Path) -> None:
    trace = rows(40, task=_EACH[:40] % 2, page=_EACH[:40], time_ns=_EACH[:40], wait_ns=500)
    profile = machine(tmp_path, 1, switch_ns=100, track_switch_ns=50)
    apart, threads = (
        simulate("epoch_pool", profile, trace, options={"slots": "4"}, process_of=processes)
        for processes in ([0, 1], [0, 0])
    )
    assert apart.time_in("switch") == 40 * 150
    assert threads.time_in("switch") == 40 * 100 + 50
    assert (apart.totals["local_flushes"], threads.totals["local_flushes"]) == (0, 40 - 4)
