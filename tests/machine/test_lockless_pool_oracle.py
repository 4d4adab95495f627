from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, SLEEP, STEP, UNLOCK, WAKE_ALL, WAKE_ONE
from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import E_FINDING, HIT, MISS, STALE_TRANSLATION
from tests.machine.oracle import MOST_NESTED, THOROUGH, AllocatorMachine, wander
from tests.machine.runs import machine, mutate_allocator, rows, simulate
from tests.machine.steps import Task


class LocklessPoolMachine(AllocatorMachine):
    """What must be so whatever the order in which tasks took their steps.

    `page_in` has the page of each slot in use, `users` how many tasks use it.
    """

    allocator = load_allocator("lockless_pool")

    @initialize(
        slots=st.integers(2, 6),
        batch=st.integers(1, 4),
        wake=st.sampled_from(["all", "one"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, batch: int, wake: str, cpus: int, tasks: int, nested: int) -> None:
        self.lay_out({"slots": str(slots), "tlb_batch": str(batch), "wake": wake}, cpus, tasks, nested)
        self.slots, self.batch = slots, batch
        self.wake = WAKE_ALL if wake == "all" else WAKE_ONE
        self.page_in: dict[int, int] = {}
        self.users: Counter[int] = Counter()
        self.claimed: dict[int, int] = {}

    def answered(self, task: Task) -> None:
        r = task.request
        assert task.action in (STEP, FLUSH_ALL, LOCK, UNLOCK, SLEEP, self.wake, DONE)
        if task.action == SLEEP:
            assert self.count_of(1) == 0
        elif r.unmapping and task.action in (STEP, LOCK):
            self.users[r.slot] -= 1
        elif task.action == DONE and not r.unmapping:
            self._mapped(task)
        if not r.unmapping:
            self._claimed(task)

    def _claimed(self, task: Task) -> None:
        """What the task has for itself: a batch while it is flushed, given back one by one."""
        had = self.claimed.pop(task.number, 0)
        mine = self.count_of(0) - sum(self.claimed.values())
        if task.action == FLUSH_ALL:
            assert not self.bench.holds(task)
            assert had == 0 and 1 <= mine <= 1 + self.batch
        elif task.action in (SLEEP, DONE):
            assert mine == 0
        elif had:
            assert had - 1 <= mine <= had
        else:
            assert mine <= 1
        self.claimed[task.number] = mine

    def _mapped(self, task: Task) -> None:
        r = task.request
        for slot, page in self.page_in.items():
            if self.users[slot] and slot != r.slot:
                assert page != r.page
        if self.users[r.slot]:
            assert r.served == HIT
            assert self.page_in[r.slot] == r.page
        assert r.served in (HIT, MISS)
        assert r.served == MISS or self.page_in[r.slot] == r.page
        self.page_in[r.slot] = r.page
        self.users[r.slot] += 1

    def count_of(self, count: int) -> int:
        return int((self.bench.state.slots.count == count).sum())

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        if action in (WAKE_ALL, WAKE_ONE):
            assert self.wake == WAKE_ALL or len(woken) <= 1

    def compare(self) -> None:
        for at, slot in enumerate(self.bench.state.slots):
            assert int(slot.count) in ((0, 1) if not self.users[at] else (1 + self.users[at],))
            if self.users[at]:
                assert int(slot.page) == self.page_in[at]
        cached = [int(page.slot) - 1 for page in self.bench.state.pages if page.slot]
        assert len(cached) == len(set(cached))

    def quiet(self) -> None:
        super().quiet()
        asleep = sum(map(len, self.bench.queues))
        assert not asleep or self.wake == WAKE_ONE or all(self.users[at] for at in range(self.slots))


def test_the_pool_keeps_its_invariants_in_every_interleaving() -> None:
    run_state_machine_as_test(LocklessPoolMachine, settings=settings(THOROUGH, max_examples=60))


def walk(machine: LocklessPoolMachine, slots: int = 4) -> Counter[int]:
    """Wander with more tasks than slots, some of which nest."""
    start = partial(machine.start, slots, 1, "all", cpus=4, tasks=9, nested=2)
    return wander(machine, 3, 3_000, start)


@pytest.mark.parametrize("slots", [2, 4])
def test_the_pool_keeps_its_invariants_on_a_long_walk(slots: int) -> None:
    taken = walk(LocklessPoolMachine(), slots)
    assert min(taken[DONE], taken[SLEEP], taken[WAKE_ALL], taken[FLUSH_ALL]) > 20


MISTAKES = {
    "the flush is forgotten": ("    return FLUSH_ALL\n", "    return STEP\n"),
    "a slot with another page is counted up": (" and a.slots[slot].page == r.page\n", "\n"),
    "a page gets two slots": (
        "if r.mark > 0:\n        r.step = _FREED",
        "if False:\n        r.step = _FREED",
    ),
    "the wake-up is lost": ("SLEEP if a.pool[0].freed == r.mark else UNLOCK", "SLEEP"),
    "a batch has no end": ("        if claimed == a.options[0].tlb_batch:\n", "        if False:\n"),
    "the batch is not given back": ("            r.budget = at + 1\n", "            pass\n"),
    "nobody is woken": ("_WAKE if a.queues[0].sleepers > 0 else after", "after"),
    "slots in use are claimed": ("count == 1\n    change_count", "count >= 1\n    change_count"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_a_pool_in_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[mistake]]), "lockless_pool")
    with pytest.raises(AssertionError):
        for slots in (4, 2):
            walk(type("Broken", (LocklessPoolMachine,), {"allocator": broken})(), slots)


def test_a_forgotten_flush_shows_as_a_stale_translation(tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES["the flush is forgotten"]]), "lockless_pool")
    trace = rows(60, task=np.arange(60) % 2, page=np.arange(60), think_ns=30)
    findings = [
        set(
            simulate(d, machine(tmp_path, 2), trace, options={"slots": "4"})
            .of_kind(E_FINDING)["value"]
            .tolist()
        )
        for d in ("lockless_pool", broken)
    ]
    assert findings == [set(), {STALE_TRANSLATION}]


def test_a_line_goes_from_cpu_to_cpu_in_the_order_in_which_they_ask(tmp_path: Path) -> None:
    # One page that is mapped already; each of three CPUs counts it up in the same instant, then down.
    trace = rows(
        4, task=[0, 1, 2, 3], page=0, time_ns=[0, 1_000, 1_000, 1_000], hold_ns=[9_999, 500, 500, 500]
    )
    profile = machine(tmp_path, 4, atomic_ns=10, line_transfer_ns=100)
    outcome = simulate("lockless_pool", profile, trace, options={"slots": "16"})
    first, *others = (outcome.operations["mapped_ns"] - outcome.operations["asked_ns"]).tolist()
    # The hand, the claim and the page's count: the second of the counts' line, which has come by then.
    assert first == (100 + 10) + (100 + 10) + 10
    assert others == [110, 220, 330]
    downs = (outcome.operations["done_ns"] - outcome.operations["unmap_asked_ns"]).tolist()
    assert downs[1:] == [110, 110, 110], "they come apart, and each finds the line with another"
