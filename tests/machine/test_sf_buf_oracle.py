from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, LOCK, SHOOT_DOWN, SLEEP, STEP, UNLOCK, WAKE_ALL, WAKE_ONE
from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import E_FINDING, E_IPI, HIT, MISS, STALE_TRANSLATION
from tests.machine.oracle import MOST_NESTED, THOROUGH, AllocatorMachine, wander
from tests.machine.runs import machine, mutate_allocator, rows, simulate
from tests.machine.steps import Task


class SfBufMachine(AllocatorMachine):
    """Buffers by page, the unused ones oldest first, and the CPUs that have invalidated each."""

    allocator = load_allocator("sf_buf")

    @initialize(
        slots=st.integers(2, 6),
        private=st.booleans(),
        wake=st.sampled_from(["all", "one"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, private: bool, wake: str, cpus: int, tasks: int, nested: int) -> None:
        options = {"slots": str(slots), "cpu_private": str(private).lower(), "wake": wake}
        self.lay_out(options, cpus, tasks, nested)
        self.private = private
        self.wake = WAKE_ALL if wake == "all" else WAKE_ONE
        self.page_in: dict[int, int] = {}
        self.users: Counter[int] = Counter()
        self.unused = list(range(slots))
        self.sound_on: dict[int, set[int]] = {}
        self.sleepers: list[int] = []
        self.slept: set[int] = set()
        self.owe_wake: set[int] = set()

    def answered(self, task: Task) -> None:
        r = task.request
        assert task.action in (LOCK, STEP, SHOOT_DOWN, UNLOCK, SLEEP, self.wake, DONE)
        if task.action == SLEEP:
            assert not self.unused
            assert task.number in self.slept or r.page not in self.page_in.values()
            self.sleepers.append(task.number)
            self.slept.add(task.number)
        elif task.action in (STEP, SHOOT_DOWN):
            self._mapped(task)
        elif task.action == UNLOCK and r.unmapping:
            self._unmapped(task)
        assert (task.action == self.wake) <= (task.number in self.owe_wake)
        if task.action == DONE:
            assert task.number not in self.owe_wake
            assert task.pinned == (len(task.mapped) if self.private else 0)

    def _mapped(self, task: Task) -> None:
        r = task.request
        # A page may have two buffers; the one that was entered last is found.
        entered = reversed(self.page_in.items())
        slot = next((slot for slot, page in entered if page == r.page), None)
        if task.number in self.slept:
            self.slept.remove(task.number)
            slot = None
        assert r.served == (MISS if slot is None else HIT)
        if slot is None:
            assert self.unused
            slot = self.unused[0]
            self.page_in.pop(slot, None)
            self.page_in[slot] = r.page
            self.sound_on[slot] = set()
        if not self.users[slot]:
            self.unused.remove(slot)
        self.users[slot] += 1
        assert r.slot == slot
        assert r.invalidations == (task.cpu not in self.sound_on[slot])
        self.sound_on[slot].add(task.cpu)
        everywhere = set(range(self.bench.shape.cpus))
        left = set() if self.private else everywhere - self.sound_on[slot]
        assert {cpu for cpu in everywhere if r.mask >> cpu & 1} == left
        assert (task.action == SHOOT_DOWN) == bool(left)
        self.sound_on[slot] |= left

    def _unmapped(self, task: Task) -> None:
        slot = task.request.slot
        self.users[slot] -= 1
        if not self.users[slot]:
            self.unused.append(slot)
            if self.sleepers:
                self.owe_wake.add(task.number)

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        if action in (WAKE_ALL, WAKE_ONE):
            self.owe_wake.remove(task.number)
            count = len(self.sleepers) if self.wake == WAKE_ALL else 1
            assert [sleeper.number for sleeper in woken] == self.sleepers[:count]
            del self.sleepers[:count]

    def compare(self) -> None:
        slots = list(enumerate(self.bench.state.slots))
        assert {at: int(slot.page) for at, slot in slots if slot.mapped} == self.page_in
        assert [int(slot.users) for _, slot in slots] == [self.users[at] for at, _ in slots]
        assert [task.number for task in self.bench.queues[0]] == self.sleepers

    def quiet(self) -> None:
        super().quiet()
        assert not (self.sleepers and self.unused)


def test_the_buffers_do_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(SfBufMachine, settings=settings(THOROUGH, max_examples=60))


def walk(machine: SfBufMachine, private: bool) -> Counter[int]:
    """Wander with more tasks than buffers, some of which nest."""
    return wander(machine, 3, 2_000, partial(machine.start, 4, private, "all", cpus=3, tasks=9, nested=2))


@pytest.mark.parametrize("private", [True, False])
def test_the_buffers_do_what_the_oracle_says_on_a_long_walk(private: bool) -> None:
    taken = walk(SfBufMachine(), private)
    assert min(taken[DONE], taken[SLEEP], taken[WAKE_ALL]) > 50
    assert (taken[SHOOT_DOWN] > 50) == (not private)


MISTAKES = {
    "the own CPU keeps the address": ("        invalidate(a, d, slot)\n", "        pass\n"),
    "other CPUs keep the address": ("    invalidate_on(a, d, slot, others)\n", "    return STEP\n"),
    "the mask outlives its page": ("        slot.cpus = 0\n", ""),
    "a private task is not pinned": ("        pin(d)\n", "        pass\n"),
    "the newest is taken": ("at = a.pool[0].oldest - 1", "at = a.pool[0].newest - 1"),
    "a shared buffer stays in the list": (
        "            touch(d, 1)\n            take_unused(a, at)\n",
        "            pass\n",
    ),
    "a freed buffer is lost": ("        add_unused(a, r.slot)\n", ""),
    "nobody is woken": ("        if a.queues[0].sleepers > 0:\n", "        if False:\n"),
    "a hit does not count": ("    a.slots[at].users += 1\n", "    a.slots[at].users += r.served\n"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_buffers_of_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[mistake]]), "sf_buf")
    with pytest.raises(AssertionError):
        for private in (True, False):
            walk(type("Broken", (SfBufMachine,), {"allocator": broken})(), private)


# Three tasks on two CPUs, blocking while mapped so that they come back to another CPU if they may.
_EACH = np.arange(120)
_MOVING = rows(
    120, task=_EACH % 3, page=_EACH % 7, time_ns=_EACH * 10, think_ns=30, block_ns=50 + 17 * (_EACH % 5)
)


def found(directory: Path, private: str, allocator: Any = "sf_buf") -> set[int]:
    options = {"slots": "4", "cpu_private": private}
    outcome = simulate(allocator, machine(directory, 2), _MOVING, options=options)
    assert bool(len(outcome.of_kind(E_IPI))) == (private == "false" and allocator == "sf_buf")
    return set(outcome.of_kind(E_FINDING)["value"].tolist())


@pytest.mark.parametrize(
    ("private", "mistake"),
    [("true", "the own CPU keeps the address"), ("false", "other CPUs keep the address")],
)
def test_a_forgotten_invalidation_shows_as_a_stale_translation(
    private: str, mistake: str, tmp_path: Path
) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[mistake]]), "sf_buf")
    assert found(tmp_path, private) == set()
    assert found(tmp_path, private, broken) == {STALE_TRANSLATION}


def test_a_shoot_down_costs_each_receiver_a_handler_and_one_invalidation(tmp_path: Path) -> None:
    prices = {"ipi_send_ns": 3, "ipi_latency_ns": 20, "ipi_handler_ns": 100, "invalidate_ns": 7}
    options = {"slots": "4", "cpu_private": "false"}
    profile = machine(tmp_path, 4, tlb_flush_ns=9_999, tlb_refill_ns=9_999, **prices)
    outcome = simulate("sf_buf", profile, rows(5, page=np.arange(5)), options=options)
    assert outcome.totals["ipis"] == 5 * 3
    assert outcome.totals["map_ns"] == 5 * (7 + 3 * 3 + 20 + 100 + 7)
    assert outcome.time_in("interrupted") == 5 * 3 * (100 + 7)
