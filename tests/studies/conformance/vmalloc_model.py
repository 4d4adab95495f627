"""A model of a kernel's vmalloc that writes the text tracefs would print; it shares no code with the designs.

Each CPU frees on its own: the counter and the list change at once, and the event may come later, after those
of other CPUs. A worker purges in three moments: it collects the lazy areas, returns them (per list), and
prints its event.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

SPACE = 0xFFFFC90000000
_HEADER = "# tracer: nop\n#\n# entries-in-buffer/entries-written: {}/{}   #P:{}\n"


@dataclass
class Kernel:
    """A kernel with `cpus` CPUs, one list for each, that purges when more than `limit` pages are lazy."""

    seed: int = 0
    cpus: int = 4
    limit: int = 2000
    late: float = 0.02
    """chance that the event of a free comes late"""
    aliases: float = 0.0
    """chance in each step that vm_unmap_aliases purges"""
    work: float = 0.4
    """chance in each step that the worker takes one"""
    spread: bool = False
    """whether a purge takes steps from list to list"""
    joins: bool = False
    """whether it has one list, in which areas that are next to each other become one, as before 6.9"""
    lines: list[str] = field(default_factory=list)
    lazy: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.clock = 0
        self.top = SPACE
        self.free: dict[int, list[int]] = {}
        self.used: list[tuple[int, int, int]] = []
        self.lists: list[list[tuple[int, int]]] = [[] for _ in range(self.cpus)]
        self.late_events: dict[int, str] = {}
        self.queued = False
        self.purge: list[Callable[[], None]] = []
        self.collected: list[list[tuple[int, int]]] = []
        self.widened = ""

    def run(self, steps: int) -> None:
        """Take steps of CPUs and of the worker, in random order."""
        for _ in range(steps):
            if self.purge and self.random.random() < self.work:
                self.purge.pop(0)()
            elif not self.purge and self.queued and self.random.random() < 0.1:
                self.queued = False
                self._begin_purge("")
            elif not self.purge and self.random.random() < self.aliases:
                self._begin_purge("0xffff888000100000")
            self._step(self.random.randrange(self.cpus))
        for cpu in list(self.late_events):
            self._print(cpu, self.late_events.pop(cpu))

    def text(self, lost: int = 0) -> str:
        """The recording so far."""
        return _HEADER.format(len(self.lines), len(self.lines) + lost, self.cpus) + "".join(self.lines)

    def _step(self, cpu: int) -> None:
        if cpu in self.late_events:
            self._print(cpu, self.late_events.pop(cpu))
        elif len(self.used) < 40 or self.random.random() < 0.5:
            self._map(cpu)
        else:
            self._free(cpu)

    def _map(self, cpu: int) -> None:
        pages = self.random.choice((2, 3, 5, 17))
        there = self.free.setdefault(pages, [])
        if there:
            page = there.pop(self.random.randrange(len(there)))
        else:
            page, self.top = self.top, self.top + pages + self.random.choice((0, 0, 3, 70_000))
        self.used.append((page, pages, cpu))
        size, address = pages * 4096, page * 4096
        self._print(
            cpu, f"alloc_vmap_area: va_start: {address} size={size} align=1 vstart=0x0 vend=0x1 failed=0"
        )

    def _free(self, cpu: int) -> None:
        page, pages, owner = self.used.pop(self.random.randrange(len(self.used)))
        self.lazy += pages
        self.lists[0 if self.joins else owner].append((page, pages))
        self.queued |= self.lazy > self.limit
        event = (
            f"free_vmap_area_noflush: va_start={page * 4096:#x} nr_lazy={self.lazy} nr_lazy_max={self.limit}"
        )
        if self.random.random() < self.late:
            self.late_events[cpu] = event
        else:
            self._print(cpu, event)

    def _begin_purge(self, widened: str) -> None:
        self.widened = widened
        self.collected = []
        self.purge = [partial(self._collect, cpu) for cpu in range(self.cpus)]
        while self.purge and not self.spread:
            self.purge.pop(0)()
        self.purge += [partial(self._return, cpu) for cpu in range(self.cpus)]
        self.purge.append(self._end_purge)

    def _collect(self, cpu: int) -> None:
        self.collected.append(self.lists[cpu])
        self.lists[cpu] = []

    def _return(self, cpu: int) -> None:
        areas = self.collected[cpu]
        self.lazy -= sum(pages for _, pages in areas)
        for page, pages in areas:
            self.free.setdefault(pages, []).append(page)

    def _end_purge(self) -> None:
        areas = [area for some in self.collected for area in some]
        start = min((page * 4096 for page, _ in areas), default=(1 << 64) - 1)
        end = max(((page + pages) * 4096 for page, pages in areas), default=0)
        start = int(self.widened, 16) if self.widened else start
        number = len(areas)
        if self.joins:
            begins = {page for page, _ in areas}
            number -= sum(page + pages in begins for page, pages in areas)
        self._print(self.cpus, f"purge_vmap_area_lazy: start={start:#x} end={end:#x} num_purged={number}")

    def _print(self, cpu: int, event: str) -> None:
        self.clock += self.random.randrange(3)
        task = 100 + cpu
        self.lines.append(f"   worker:{cpu}-{task} [{cpu % self.cpus:03}] ..... 7.{self.clock:06}: {event}\n")
