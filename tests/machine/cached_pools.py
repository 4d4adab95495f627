"""Holding a design of cached pools against `CachedPools`, at every step that lets go of the lock."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, SLEEP, STEP, UNLOCK, WAKE_ALL, WAKE_ONE
from pipeline.allocators.api.allocator import Allocator
from pipeline.schema.codes import HIT, MISS
from tests.machine.oracle import MOST_NESTED, AllocatorMachine, Answer, CachedPools, wander
from tests.machine.steps import Request, Task


class CachedPoolMachine(AllocatorMachine):
    """A design with one pool; a subclass says which pools there are, and what a flush is."""

    flush: ClassVar[int] = FLUSH_ALL

    @initialize(
        slots=st.integers(2, 8),
        flush_if_any=st.booleans(),
        wake=st.sampled_from(["all", "one"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, flush_if_any: bool, wake: str, cpus: int, tasks: int, nested: int) -> None:
        self.oracle = self.pools(slots, flush_if_any)
        options = {"slots": str(slots), "wake": wake} | self.more_options()
        if any(option.name == "flush_if_any" for option in self.allocator.options):
            options["flush_if_any"] = str(flush_if_any).lower()
        self.lay_out(options, cpus, tasks, nested)
        self.wake = WAKE_ALL if wake == "all" else WAKE_ONE
        self.owe_wake: dict[int, int] = {}

    def pools(self, slots: int, flush_if_any: bool) -> CachedPools:
        """Set up the oracle."""
        return CachedPools(slots, flush_if_any)

    def more_options(self) -> dict[str, str]:
        """Options of the design that others do not have."""
        return {}

    def pool_of(self, r: Request) -> int:
        """Pool that the mapping may take a slot of."""
        return 0

    def place(self, slot: int) -> tuple[int, int]:
        """Pool of a slot of the design, and its number there."""
        return divmod(slot, self.oracle.slots)

    def answered(self, task: Task) -> None:
        r = task.request
        assert task.action in (STEP, LOCK, UNLOCK, self.flush, SLEEP, self.wake, DONE)
        if task.action in (UNLOCK, SLEEP) and not r.unmapping:
            self._mapped_or_asleep(task)
        elif task.action == UNLOCK:
            place = self.place(r.slot)
            if self.oracle.unmap(place):
                self.owe_wake[task.number] = place[0]
        elif task.action in (WAKE_ALL, WAKE_ONE):
            assert task.argument == self.owe_wake[task.number]
        elif task.action == DONE:
            assert task.number not in self.owe_wake

    def _mapped_or_asleep(self, task: Task) -> None:
        r = task.request
        slot = None if task.action == SLEEP else self.place(r.slot)
        hit = slot is not None and r.served == HIT
        s = self.pool_of(r)
        expected = self.oracle.map(r.page, s)
        assert Answer(slot, hit, r.probes, r.scans, r.freed, r.flushes) == expected
        assert r.scanned == r.scans * self.oracle.slots * (
            self.oracle.pools if self.oracle.pass_over_all else 1
        )
        self.compare_invalidations(r)
        if slot is None:
            assert task.argument == s
            self.oracle.sleepers[s].append(task.number)
        else:
            assert hit or r.served == MISS

    def compare_invalidations(self, r: Request) -> None:
        """Hold what the map invalidated on its own CPU against what it should."""
        assert r.invalidations == 0

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        if action in (WAKE_ALL, WAKE_ONE):
            sleepers = self.oracle.sleepers[self.owe_wake.pop(task.number)]
            count = len(sleepers) if self.wake == WAKE_ALL else 1
            assert [sleeper.number for sleeper in woken] == sleepers[:count]
            del sleepers[:count]

    def compare(self) -> None:
        state = self.bench.state
        page_in = {slot: int(state.slots[slot].page) for slot in self.taken()}
        assert {self.place(slot): page for slot, page in page_in.items()} == self.oracle.page_in
        counts = {self.place(slot): int(state.slots[slot].count) for slot in self.taken()}
        assert counts == {slot: 1 + users for slot, users in self.oracle.users.items()}
        cached = {p: self.place(int(page.slot) - 1) for p, page in enumerate(state.pages) if page.slot}
        assert cached == {page: slot for slot, page in self.oracle.page_in.items()}
        assert [int(pool.cursor) for pool in state.pool][: self.oracle.pools] == self.oracle.cursor
        queues = [[task.number for task in queue] for queue in self.bench.queues]
        assert queues == self.oracle.sleepers

    def taken(self) -> list[int]:
        """Slots of the design that are not clean."""
        return [slot for slot, record in enumerate(self.bench.state.slots) if record.count]

    def quiet(self) -> None:
        super().quiet()
        # With wake=one a sleeper that is woken and hits leaves the slot that was meant for it unused.
        if self.wake == WAKE_ALL:
            assert all(self.oracle.full(s) for s, sleepers in enumerate(self.oracle.sleepers) if sleepers)


def walk(machine: CachedPoolMachine, slots: int, wake: str) -> Counter[int]:
    """Wander with twice as many tasks as slots, some of which nest."""
    options = {"slots": slots, "flush_if_any": slots % 2 == 0, "wake": wake}
    start = partial(machine.start, **options, cpus=3, tasks=2 * slots, nested=2)
    return wander(machine, slots, 4_000, start)


def is_wrong(machine: type[CachedPoolMachine], broken: Allocator) -> None:
    """Check that walks with a broken copy of the machine's design are caught."""
    walker = type("Broken", (machine,), {"allocator": broken})
    with pytest.raises(AssertionError):
        for slots in (2, 3, 5):
            walk(walker(), slots, "all")


# Single mistakes in the code that all these designs share.
MISTAKES = {
    "the first slot is 0": ("SUMMARY =", "def prepare(a, shape):\n    a.pool[0].cursor = -1\n\n\nSUMMARY ="),
    "the flush at a wrap is forgotten": ("if freed > 0 or always:", "if False:"),
    "a page is not forgotten when its slot is": (
        "            a.pages[slot.page].slot = 0\n            evict(",
        "            evict(",
    ),
    "the budget is not renewed at a wrap": (
        "pool.cursor = 0\n                r.budget = size\n",
        "pool.cursor = 0\n",
    ),
    "a hit does not count": ("            a.slots[cached].count += 1\n", ""),
    "nobody is woken": ("WAKE if slot.count == 1 and a.queues[s].sleepers > 0 else END", "END"),
    "flush_if_any is ignored": ("freed > 0 or always", "True"),
    "one is woken where all should be": ("WAKE_ONE if a.options[0].wake == 1 else WAKE_ALL", "WAKE_ONE"),
    "a slot in use is freed": (
        "slot = a.slots[k]\n        if slot.count == 1:",
        "slot = a.slots[k]\n        if slot.count:",
    ),
}
