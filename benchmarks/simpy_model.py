"""The kernel's global pool as a SimPy model, for comparison of speed and results.

CPUs are a resource. Tasks are processes that think, wait, map, use and unmap in a closed loop. The lock is a
FIFO resource, and a flush takes a fixed time under the lock. The model has no interrupts, TLBs, context
switches, time slices or NUMA. To print its operations per second:

    python benchmarks/simpy_model.py [operations]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import simpy


class Operation(NamedTuple):
    """One row of a trace, all times in ns."""

    page: int
    think_ns: int
    wait_ns: int
    hold_ns: int
    block_ns: int


class Prices(NamedTuple):
    """Costs of the steps of a map and an unmap, in ns."""

    entry_ns: int
    probe_ns: int
    pte_write_ns: int
    scan_slot_ns: int
    flush_ns: int


@dataclass
class GlobalPool:
    """Machine and pool. After `run`, read the totals, and in `waits` the lock waits of each task in ns."""

    tasks: list[list[Operation]]
    cpus: int
    slots: int
    prices: Prices
    env: simpy.Environment = field(default_factory=simpy.Environment)
    hits: int = 0
    misses: int = 0
    flushes: int = 0
    sleeps: int = 0
    waits: list[list[int]] = field(default_factory=list)

    def run(self) -> None:
        """Simulate until every task has finished its last operation or sleeps forever."""
        self.processors = simpy.Resource(self.env, self.cpus)
        self.lock = simpy.Resource(self.env)
        self.cursor = 0
        self.page_in: list[int | None] = [None] * self.slots
        self.users = [0] * self.slots
        self.slot_of: dict[int, int] = {}
        self.freed = self.env.event()
        self.waits = [[] for _ in self.tasks]
        for number, operations in enumerate(self.tasks):
            self.env.process(self._task(number, operations))
        self.env.run()

    def _task(self, number: int, operations: list[Operation]) -> Iterator[Any]:
        cpu = self.processors.request()
        yield cpu
        for turn, operation in enumerate(operations):
            if operation.wait_ns and turn:
                cpu = yield from self._leave(cpu, self.env.timeout(operation.wait_ns))
            yield self.env.timeout(operation.think_ns)
            while (slot := (yield from self._try_map(number, operation.page))) is None:
                self.sleeps += 1
                cpu = yield from self._leave(cpu, self.freed)
            if operation.block_ns:
                cpu = yield from self._leave(cpu, self.env.timeout(operation.block_ns))
            yield self.env.timeout(operation.hold_ns)
            yield from self._unmap(number, slot)
        self.processors.release(cpu)

    def _leave(self, cpu: Any, until: simpy.Event) -> Iterator[Any]:
        """Release the CPU until the event `until`; return the CPU acquired after it."""
        self.processors.release(cpu)
        yield until
        cpu = self.processors.request()
        yield cpu
        return cpu

    def _try_map(self, number: int, page: int) -> Iterator[Any]:
        """Return the slot of the page, or None if a whole scan found no free slot."""
        asked = self.env.now
        with self.lock.request() as turn:
            yield turn
            self.waits[number].append(self.env.now - asked)
            yield self.env.timeout(self.prices.entry_ns)
            slot = self.slot_of.get(page)
            if slot is not None:
                self.hits += 1
                self.users[slot] += 1
                yield self.env.timeout(self.prices.entry_ns)
                return slot
            left = self.slots
            while left:
                self.cursor = (self.cursor + 1) % self.slots
                yield self.env.timeout(self.prices.probe_ns)
                if self.cursor == 0:
                    yield from self._flush()
                    left = self.slots
                if self.page_in[self.cursor] is None:
                    self.misses += 1
                    self.page_in[self.cursor] = page
                    self.users[self.cursor] = 1
                    self.slot_of[page] = self.cursor
                    yield self.env.timeout(self.prices.entry_ns + self.prices.pte_write_ns)
                    return self.cursor
                left -= 1
            return None

    def _flush(self) -> Iterator[Any]:
        for slot, page in enumerate(self.page_in):
            if page is not None and not self.users[slot]:
                self.page_in[slot] = None
                del self.slot_of[page]
        self.flushes += 1
        yield self.env.timeout(self.slots * self.prices.scan_slot_ns + self.prices.flush_ns)

    def _unmap(self, number: int, slot: int) -> Iterator[Any]:
        asked = self.env.now
        with self.lock.request() as turn:
            yield turn
            self.waits[number].append(self.env.now - asked)
            yield self.env.timeout(self.prices.entry_ns)
            self.users[slot] -= 1
            unused = not self.users[slot]
        if unused:
            self.freed.succeed()
            self.freed = self.env.event()


def zipf_tasks(operations: int, tasks: int, pages: int, seed: int) -> list[list[Operation]]:
    """Return operations for each task: Zipf pages and exponential times, assigned to tasks in turn."""
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, pages + 1)
    page = np.searchsorted(np.cumsum(weights) / weights.sum(), random.random(operations))
    times = [random.exponential(mean, operations) for mean in (200_000, 3_000_000, 15_000)]
    columns = [column.astype(int).tolist() for column in (page, *times)]
    rows = [Operation(*row, 0) for row in zip(*columns, strict=True)]
    return [rows[task::tasks] for task in range(tasks)]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    model = GlobalPool(zipf_tasks(count, 256, 65_536, 1), 16, 1_024, Prices(100, 50, 100, 50, 100_000))
    started = time.perf_counter()
    model.run()
    took_s = time.perf_counter() - started
    print(f"{count / took_s:,.0f} operations/s")
    print(f"{model.hits} hits, {model.misses} misses, {model.flushes} flushes, {model.sleeps} sleeps")


if __name__ == "__main__":
    main()
