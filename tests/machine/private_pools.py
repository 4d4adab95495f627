"""Holding a design in which each CPU or process has a pool of its own against `CachedPools`, one for each."""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, SLEEP, UNLOCK, WAKE_ALL, WAKE_ONE
from pipeline.schema.codes import HIT, MISS
from tests.machine.oracle import AllocatorMachine, CachedPools
from tests.machine.steps import Task


class OwnPoolMachine(AllocatorMachine):
    """A subclass says whose pools they are, and after which action a map or unmap has taken effect."""

    mapped_at = UNLOCK
    cache = True

    def own(self, pools: int, slots: int, wake: str) -> None:
        """Set up the oracle, after the design."""
        self.slots = slots
        self.pools = [CachedPools(slots, flush_if_any=True) for _ in range(pools)]
        self.wake = WAKE_ALL if wake == "all" else WAKE_ONE
        self.owe_wake: dict[int, int] = {}

    def pool_of(self, task: Task) -> int:
        """Pool that the task maps from."""
        raise NotImplementedError

    def may_map(self, task: Task) -> bool:
        """Whether the task may look for a slot at all."""
        return True

    def map_took_effect(self, task: Task) -> None:
        """The task has its slot, or must sleep."""
        r, p = task.request, self.pool_of(task)
        pool = self.pools[p]
        if not self.may_map(task):
            assert task.action == SLEEP
        else:
            # Without a cache no two operations share a slot.
            answer = pool.map(r.page if self.cache else -r.op)
            found = None if task.action == SLEEP else divmod(r.slot, self.slots)
            assert found == (None if answer.slot is None else (p, answer.slot[1]))
            assert r.probes == answer.probed
            assert not self.cache or r.flushes <= answer.flushes
            assert found is None or r.served == (HIT if answer.hit else MISS)
        if task.action == SLEEP:
            assert task.argument == p
            pool.sleepers[0].append(task.number)
            r.forget_spending()

    def unmap_took_effect(self, task: Task) -> None:
        """The task has given back its slot."""
        p, at = divmod(task.request.slot, self.slots)
        pool = self.pools[p]
        pool.unmap((0, at))
        free = pool.users[0, at] == 0
        if free and pool.sleepers[0]:
            self.owe_wake[task.number] = p
        if free and not self.cache:
            del pool.users[0, at], pool.page_in[0, at]

    def answered(self, task: Task) -> None:
        if task.action == SLEEP or (task.action == self.mapped_at and not task.request.unmapping):
            self.map_took_effect(task)
        elif task.action in (WAKE_ALL, WAKE_ONE):
            assert task.action == self.wake
            assert task.argument == self.owe_wake[task.number]
        elif task.action == DONE:
            assert task.number not in self.owe_wake

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        if action in (WAKE_ALL, WAKE_ONE):
            sleepers = self.pools[self.owe_wake.pop(task.number)].sleepers[0]
            count = len(sleepers) if self.wake == WAKE_ALL else 1
            assert [sleeper.number for sleeper in woken] == sleepers[:count]
            del sleepers[:count]

    def compare(self) -> None:
        state = self.bench.state
        for p, pool in enumerate(self.pools):
            slots = [(at, state.slots[p * self.slots + at]) for at in range(self.slots)]
            assert {(0, at): int(slot.count) - 1 for at, slot in slots if slot.count} == pool.users
            if self.cache:
                assert {(0, at): int(slot.page) for at, slot in slots if slot.count} == pool.page_in
            assert int(state.pool[p].cursor) == pool.cursor[0]
            assert [task.number for task in self.bench.queues[p]] == pool.sleepers[0]
