"""A small model of the kernel's pool and its tracer, which writes recordings as a real one would.

Independent of pipeline.allocators: tasks are generators that take the lock, sleep and wake as mm/highmem.c of
5.10 and 6.1 lets them, and a scheduler picks at random who goes on. Between any two points at which a task
does not hold the lock, every other task may run: before the lock is taken, between the release and the
wake-up, between being woken and leaving the wait queue.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

BASE = 0xFF000000
PAGES = 0xF6000000


@dataclass
class Kernel:
    """The pool, its lock and its wait queue; `events` is what the tracer has recorded."""

    slots: int
    seed: int = 0
    cpus: int = 4
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.count = [0] * self.slots
        self.holds: list[int | None] = [None] * self.slots
        self.slot_of: dict[int, int] = {}
        self.last = 0
        self.queue: list[int] = []
        self.runnable: set[int] = set()
        self.lock: int | None = None
        self.clock = 1_000_000
        self.cpu_of: dict[int, int] = {}

    def tell(self, pid: int, ev: str, page: int | None = None, **values: int) -> None:
        self.clock += self.random.randrange(50, 5000)
        row = {"page": None if page is None else PAGES + 40 * page, "vaddr": None, "nr": None, "cnt": None}
        self.events.append(
            {
                "seq": len(self.events) + 1,
                "time_ns": self.clock,
                "cpu": self.cpu_of[pid],
                "pid": pid,
                "ev": ev,
            }
            | row
            | values
        )

    def acquire(self, pid: int) -> Iterator[None]:
        yield
        while self.lock is not None:
            yield
        self.lock = pid

    def map(self, pid: int, page: int) -> Iterator[None]:
        self.tell(pid, "ke", page)
        yield from self.acquire(pid)
        budget = self.slots
        while page not in self.slot_of:
            self.last = (self.last + 1) % self.slots
            if self.last == 0:
                self.flush(pid)
                budget = self.slots
            if self.count[self.last] == 0:
                self.tell(pid, "spa", page, vaddr=BASE + 4096 * self.last)
                self.count[self.last] = 1
                self.holds[self.last] = page
                self.slot_of[page] = self.last
                break
            budget -= 1
            if budget == 0:
                self.tell(pid, "slp", page)
                self.queue.append(pid)
                self.runnable.discard(pid)
                self.lock = None
                yield
                self.queue.remove(pid)
                yield from self.acquire(pid)
                self.tell(pid, "wak", page)
                budget = self.slots
        slot = self.slot_of[page]
        self.count[slot] += 1
        self.tell(pid, "km", page, vaddr=BASE + 4096 * slot, nr=slot, cnt=self.count[slot])
        self.lock = None
        yield

    def flush(self, pid: int) -> None:
        self.tell(pid, "fz")
        cleared = False
        for slot in range(self.slots):
            page = self.holds[slot]
            if self.count[slot] == 1 and page is not None:
                self.count[slot] = 0
                del self.slot_of[page]
                self.holds[slot] = None
                self.tell(pid, "spa", page, vaddr=0)
                cleared = True
        if cleared:
            self.tell(pid, "ftlb")

    def flush_unused(self, pid: int) -> Iterator[None]:
        yield from self.acquire(pid)
        self.flush(pid)
        self.lock = None
        yield

    def unmap(self, pid: int, page: int) -> Iterator[None]:
        yield from self.acquire(pid)
        slot = self.slot_of[page]
        self.count[slot] -= 1
        self.tell(pid, "ku", page, nr=slot, cnt=self.count[slot])
        wakes = self.count[slot] == 1 and bool(self.queue)
        self.lock = None
        yield
        if wakes:
            self.runnable.update(self.queue)

    def run(self, bodies: dict[int, Iterator[None]], stop_after: int | None = None) -> Kernel:
        """Run the tasks in random order until all have ended or enough events are recorded."""
        self.runnable.update(bodies)
        order = sorted(bodies)
        for pid in order:
            self.cpu_of[pid] = self.random.randrange(self.cpus)
        while bodies and (stop_after is None or len(self.events) < stop_after):
            # Whoever holds the lock goes on; the others would only find it taken.
            pid = self.lock if self.lock is not None else self.random.choice(order)
            if pid not in self.runnable:
                if not self.runnable:
                    raise AssertionError("every task sleeps")
                continue
            if self.lock is None and self.random.random() < 0.1:
                self.cpu_of[pid] = self.random.randrange(self.cpus)
            try:
                next(bodies[pid])
            except StopIteration:
                del bodies[pid]
                order.remove(pid)
                self.runnable.discard(pid)
        return self


def worker(
    kernel: Kernel, pid: int, maps: int, pages: int, nest: int = 1, flushes: bool = False
) -> Iterator[None]:
    """A task that maps random pages, up to `nest` at a time, holds them for a while and unmaps them."""
    draw = random.Random(kernel.seed * 100_003 + pid)
    for _ in range(maps):
        held = []
        for _ in range(draw.randint(1, nest)):
            page = int(pages * draw.random() ** 2)
            yield from kernel.map(pid, page)
            held.append(page)
        for _ in range(draw.randrange(12)):
            yield
        draw.shuffle(held)
        for page in held:
            yield from kernel.unmap(pid, page)
        if flushes and draw.random() < 0.02:
            yield from kernel.flush_unused(pid)


def crowd(kernel: Kernel, tasks: int, maps: int, pages: int, **more: Any) -> dict[int, Iterator[None]]:
    """Workers by pid."""
    return {100 + k: worker(kernel, 100 + k, maps, pages, **more) for k in range(tasks)}


def write_parquet(events: list[dict[str, Any]], path: Path) -> Path:
    """Events in the Parquet form of recordings."""
    schema = {
        "seq": pl.Int64, "time_ns": pl.Int64, "cpu": pl.Int8, "pid": pl.Int32, "ev": pl.String,
        "page": pl.UInt32, "vaddr": pl.UInt32, "nr": pl.Int16, "cnt": pl.Int32,
    }  # fmt: skip
    pl.DataFrame(events, schema=schema).with_columns(caller=pl.lit(None, pl.String)).write_parquet(path)
    return path


SYMBOLS = {
    "ke": "kmap_high+0x0/0x260", "km": "kmap_high+0x5c/0x260", "slp": "kmap_high+0xb4/0x260",
    "wak": "kmap_high+0x10d/0x260", "ku": "kunmap_high+0x52/0xb0", "fz": "flush_all_zero_pkmaps+0x0/0xd0",
    "ftlb": "flush_all_zero_pkmaps+0xc0/0xd0", "spa": "set_page_address+0x0/0x150",
}  # fmt: skip


def text_line(event: dict[str, Any], flags: str, decimal: bool = False, comm: str = "wl") -> str:
    """An event as tracefs prints it; `flags` has four characters in 5.10 and five in 6.1, or none."""
    values = {name: event[name] for name in ("page", "vaddr", "nr", "cnt") if event[name] is not None}
    shown = " ".join(
        f"{name}={value}" if decimal and name in {"nr", "cnt"} else f"{name}={value:#x}"
        for name, value in values.items()
    )
    head = f"{comm:>16}-{event['pid']:<7} [{event['cpu']:03}] {flags}{' ' if flags else ''}"
    return f"{head}{event['time_ns']:>13}: {event['ev']}: ({SYMBOLS[event['ev']]}) {shown}\n"
