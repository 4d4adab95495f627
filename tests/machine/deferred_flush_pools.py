"""Holding a pool that is flushed without its lock against sets of slots, at every step that lets go of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import pytest

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, SLEEP, UNLOCK, WAKE_ALL
from pipeline.allocators.api.allocator import Allocator
from pipeline.schema.codes import HIT, MISS
from tests.machine.oracle import AllocatorMachine, wander
from tests.machine.steps import Request, Task

SEARCH, PASS, FLUSH, END = "searches", "passes over slots", "flushes", "declares slots clean"


@dataclass
class Parts:
    """Which slots are clean, which are on their way out, and what the others hold."""

    parts: int
    size: int
    batch: int
    spare: int
    current: int = 0
    clean: list[set[int]] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    page_in: dict[int, int] = field(default_factory=dict)
    users: dict[int, int] = field(default_factory=dict)
    doomed: set[int] = field(default_factory=set)
    flushed: int | None = None
    ahead: list[int] = field(default_factory=list)
    sleepers: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clean = [set(self.slots_of(p)) for p in range(self.parts)]
        self.last = [(p + 1) * self.size - 1 for p in range(self.parts)]

    def slots_of(self, p: int) -> range:
        return range(p * self.size, (p + 1) * self.size)

    def unused(self, p: int) -> list[int]:
        return [slot for slot in self.slots_of(p) if self.users.get(slot) == 0]

    def find(self, page: int) -> tuple[int | None, bool]:
        """Find the page or take a slot for it; return the slot (None: there is none) and whether it hit."""
        for slot, cached in self.page_in.items():
            if cached == page:
                self.users[slot] += 1
                return slot, True
        here, other = self.current, self.parts - 1 - self.current
        if not self.clean[here] and not self.unused(here) and self.clean[other]:
            self.current = other
        return self.take(page), False

    def take(self, page: int) -> int | None:
        """Take the first clean slot after the one taken last in the current part."""
        p = self.current
        if not self.clean[p]:
            return None
        slot = min(self.clean[p], key=lambda slot: (slot - self.last[p] - 1) % self.size)
        self.clean[p].remove(slot)
        self.last[p] = slot
        self.page_in[slot] = page
        self.users[slot] = 1
        return slot

    def must_flush(self, slot: int | None, hit: bool) -> int | None:
        """The part to be flushed now by who has found `slot`."""
        low = slot is not None and not hit and 0 < self.spare == len(self.clean[self.current])
        if self.flushed is not None or not (slot is None or low):
            return None
        order = (self.current, self.parts - 1 - self.current)
        return next((p for p in order if self.unused(p)), None)

    def begin(self, p: int) -> None:
        self.flushed = p
        self.ahead = list(self.slots_of(p))
        self.current = self.parts - 1 - p

    def pass_over(self) -> bool:
        """Doom the unused slots of the next batch; return whether it was the last one."""
        count = self.batch or self.size
        for slot in self.ahead[:count]:
            if self.users.get(slot) == 0:
                del self.users[slot], self.page_in[slot]
                self.doomed.add(slot)
        del self.ahead[:count]
        return not self.ahead

    def end(self) -> None:
        assert self.flushed is not None
        self.clean[self.flushed] |= self.doomed
        self.doomed = set()
        self.flushed = None


class DeferredFlushMachine(AllocatorMachine):
    """A design of one part or two; nobody may hold the lock while TLBs are flushed."""

    parts: ClassVar[int]

    def begin_with(self, slots: int, options: dict[str, str], cpus: int, tasks: int, nested: int) -> None:
        """Lay out a pool of `slots` slots; `options` are the design's others."""
        self.lay_out({"slots": str(slots)} | options, cpus, tasks, nested)
        batch, spare = (int(options.get(name, "0")) for name in ("batch", "spare"))
        self.oracle = Parts(self.parts, slots // self.parts, batch, spare)
        self.stage: dict[int, str] = {}
        self.owe_wake: set[int] = set()
        self.held: dict[int, int | None] = {}

    def answered(self, task: Task) -> None:
        r = task.request
        assert task.action in (LOCK, UNLOCK, FLUSH_ALL, SLEEP, WAKE_ALL, DONE)
        if task.action == FLUSH_ALL:
            assert not self.bench.holds(task), "flushes with the lock held"
            assert self.stage[task.number] == FLUSH and self.oracle.doomed
            self.stage[task.number] = END
        elif task.action in (UNLOCK, SLEEP):
            if r.unmapping:
                self._unmapped(task)
            else:
                self._let_go(task)
        elif task.action == WAKE_ALL:
            assert task.number in self.owe_wake
        elif task.action == DONE:
            assert task.number not in self.owe_wake
            assert self.stage.pop(task.number, None) in (None, SEARCH)
        if self.bench.flushing:
            self.compare()

    def _let_go(self, task: Task) -> None:
        """The task has done something under the lock: what, is known from what it did before."""
        r, stage = task.request, self.stage.get(task.number, SEARCH)
        had = r.slot if stage != SEARCH and self.held.get(task.number) is not None else None
        if stage == PASS:
            self._pass(task)
            return
        if stage in (FLUSH, END):
            assert stage == END or not self.oracle.doomed, "what was not flushed becomes clean"
            self.oracle.end()
        self._search(task, had, after_flush=stage != SEARCH)

    def _search(self, task: Task, slot: int | None, after_flush: bool) -> None:
        r, hit = task.request, False
        if slot is None:
            slot, hit = self.oracle.find(r.page)
            part = self.oracle.must_flush(slot, hit)
            if part is not None:
                self.oracle.begin(part)
                slot = self.oracle.take(r.page) if slot is None else slot
                self._got(r, slot, hit)
                self.held[task.number] = slot
                self._pass(task)
                return
            self._got(r, slot, hit)
        self.stage[task.number] = SEARCH
        self.held.pop(task.number, None)
        assert (task.action == SLEEP) == (slot is None)
        if slot is None:
            self.oracle.sleepers.append(task.number)
        elif after_flush and self.oracle.sleepers:
            self.owe_wake.add(task.number)

    def _got(self, r: Request, slot: int | None, hit: bool) -> None:
        assert r.slot == (-1 if slot is None else slot)
        assert slot is None or r.served == (HIT if hit else MISS)

    def _pass(self, task: Task) -> None:
        assert task.action == UNLOCK
        self.stage[task.number] = FLUSH if self.oracle.pass_over() else PASS

    def _unmapped(self, task: Task) -> None:
        oracle, slot = self.oracle, task.request.slot
        oracle.users[slot] -= 1
        if oracle.users[slot] == 0 and oracle.sleepers and oracle.flushed is None:
            self.owe_wake.add(task.number)

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        if action == WAKE_ALL:
            self.owe_wake.remove(task.number)
            assert [sleeper.number for sleeper in woken] == self.oracle.sleepers
            self.oracle.sleepers.clear()

    def compare(self) -> None:
        state, oracle = self.bench.state, self.oracle
        expected = {slot: 1 + users for slot, users in oracle.users.items()}
        expected |= dict.fromkeys(oracle.doomed, -1)
        assert {s: int(slot.count) for s, slot in enumerate(state.slots) if slot.count != 0} == expected
        cached = {int(page.slot) - 1: p for p, page in enumerate(state.pages) if page.slot}
        assert cached == oracle.page_in
        assert [int(part.clean) for part in state.pool] == [len(clean) for clean in oracle.clean]
        assert [int(part.unused) for part in state.pool] == [
            len(oracle.unused(p)) for p in range(oracle.parts)
        ]
        assert [task.number for task in self.bench.queues[0]] == oracle.sleepers

    def quiet(self) -> None:
        super().quiet()
        assert self.oracle.flushed is None
        assert not self.oracle.sleepers or all(self.oracle.users.get(s) for s in range(self.slots()))
        live = self.bench.live()
        assert self.bench.module.lost_wakeups(self.bench.state, live) == []

    def slots(self) -> int:
        return self.oracle.parts * self.oracle.size


def walk(machine: DeferredFlushMachine, slots: int, options: dict[str, str]) -> Counter[int]:
    """Wander with twice as many tasks as slots, some of which nest."""
    start = partial(machine.begin_with, slots, options, cpus=3, tasks=2 * slots, nested=2)
    return wander(machine, slots, 2_000, start)


def is_wrong(machine: type[DeferredFlushMachine], broken: Allocator, options: dict[str, str]) -> None:
    """Check that walks with a broken copy of the machine's design are caught."""
    walker = type("Broken", (machine,), {"allocator": broken})
    with pytest.raises(AssertionError):
        for slots in (2, 4, 6):
            walk(walker(), slots, options)


# Single mistakes in the code that these designs share.
MISTAKES = {
    "a page is not forgotten before the flush": ("            a.pages[slot.page].slot = 0\n", ""),
    "the flush is forgotten": ("        if flush.freed > 0:\n", "        if flush.freed > 1_000:\n"),
    "slots are clean before the flush": ("slot.count = _BEING_FLUSHED", "slot.count = _CLEAN"),
    "a slot in use is flushed": (
        "        if slot.count == _CACHED:\n            slot.count = _BEING_FLUSHED",
        "        if slot.count >= _CACHED:\n            slot.count = _BEING_FLUSHED",
    ),
    "nobody is woken after a flush": (
        "_WAKE if after == _WAKE and a.queues[0].sleepers > 0 else _GOT",
        "_GOT",
    ),
    "nobody is woken by an unmap": ("            r.step = WAKE\n", "            pass\n"),
    "two flush at once": (" and flush.flushing == 0:\n            old", ":\n            old"),
    "a hit of an unused slot is not counted": (
        "            a.pool[cached // size].unused -= 1\n",
        "            pass\n",
    ),
    "a release is not counted": (
        "        a.pool[r.slot // size].unused += 1\n",
        "",
    ),
    "the lock is held while TLBs are flushed": (
        "    r.step = _FLUSH if flush.passed == size else _NEXT_BATCH\n    return UNLOCK\n",
        "    r.step = _FLUSHED if flush.passed == size else _NEXT_BATCH\n"
        "    return FLUSH_ALL if flush.passed == size else UNLOCK\n",
    ),
}
