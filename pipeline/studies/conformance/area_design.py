"""A design for areas that is told the address of each map and the moment of each purge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.allocators.api import actions
from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.contract import Shape, Value, parse_options
from pipeline.allocators.components.address_space import GUARD_PAGES, SPACE_PAGES
from pipeline.allocators.components.lazy_areas import LAZY_PAGES
from pipeline.allocators.registry import load_allocator, shipped_allocators
from pipeline.errors import UsageError
from pipeline.io.numbers import join_words
from pipeline.machine.compose import compose
from pipeline.machine.engine import records
from pipeline.machine.engine.lock_schedule import MOST_STEPS
from pipeline.machine.layout import RunSettings
from pipeline.machine.machine_state import build_allocator, build_machine_state
from pipeline.machine.profile import load_profile
from pipeline.schema import codes

# Any profile works, because lock-step replay does not use costs.
_ANY_MACHINE = "numaq16"
# lazy_max_pages of Linux: 32 MiB for each bit of the number of CPUs.
_LAZY_PAGES_OF_A_BIT = 8192
_FREEING = 0
_WORKING = 1


@dataclass
class Purge:
    """What a purge of the design collected: the number of areas, and the range of slots that it flushed."""

    areas: int = 0
    first: int = -1
    slots: int = 0


def check_design(loaded: Allocator, options: dict[str, str], recording: object) -> None:
    """Raise UsageError for a design or options that cannot follow a recording of vmalloc's areas."""
    if not _can_follow(loaded):
        able = [one.name for one in map(load_allocator, shipped_allocators()) if _can_follow(one)]
        raise UsageError(
            f"{recording} is a recording of vmalloc's areas, which {loaded.name} cannot follow (its pool has "
            f"no field lazy, or it does not define place); use {join_words(able, 'or')}"
        )
    for option in (SPACE_PAGES.name, GUARD_PAGES.name):
        if option in options:
            raise UsageError(f"option {option} follows from the recording; omit it")


def _can_follow(loaded: Allocator) -> bool:
    return "lazy" in {field[0] for field in loaded.fields("POOL")} and hasattr(loaded.module, "place")


class AreaDesign:
    """One design, with an address space of `pages` pages on `cpus` CPUs.

    The simulated machine has at most 64 CPUs. With more, several share one there, which changes only the
    number of lists; the default limit of lazy pages is that for `cpus`.

    `has_worker` says whether a worker of the design purges; otherwise its unmaps do. `purge` is the latest
    purge of the worker, and `purging` whether that has yet to end.
    """

    def __init__(self, loaded: Allocator, options: dict[str, str], cpus: int, pages: int) -> None:
        given = options | {SPACE_PAGES.name: str(max(pages, 2)), GUARD_PAGES.name: "0"}
        self._cpus = min(cpus, records.MAX_CPUS)
        if cpus > self._cpus and given.get(LAZY_PAGES.name, "0") == "0":
            given[LAZY_PAGES.name] = str(cpus.bit_length() * _LAZY_PAGES_OF_A_BIT)
        values: dict[str, Value] = parse_options(loaded.options, given, loaded.name)
        shape = Shape(self._cpus, 1, 1, 1)
        self.name = loaded.name
        self._state: Any = build_allocator(loaded, values, shape)
        setting = RunSettings(seed=0, loop=records.CLOSED, log=False, chunk_rows=1, chunk_slots=1, levels=1)
        machine = load_profile(_ANY_MACHINE).with_cpus(self._cpus)
        self._machine: Any = build_machine_state(machine, loaded, values, shape, setting, self._state)
        self._pool, self._step_cost = self._state.pool[0], self._machine.step_cost[0]
        self._requests = [self._machine.requests[number] for number in range(len(self._machine.requests))]
        self._take_step = compose(loaded).step
        self._place: Callable[..., bool] = loaded.module.place
        self.has_worker = len(self._requests) > _WORKING
        self.purge, self.purging = Purge(), False

    @property
    def lazy(self) -> int:
        """The counter of lazy pages."""
        return int(self._pool.lazy)

    def place(self, slot: int, pages: int, cpu: int) -> bool:
        """Map an area at `slot` on `cpu`; return False if the address is not free."""
        return self._place(self._state, slot, pages, cpu % self._cpus)

    def unmap(self, slot: int, pages: int, cpu: int) -> tuple[bool, Purge]:
        """Unmap an area; return whether the design asked for a purge, and what the unmap purged itself."""
        self._begin(_FREEING, slot, pages, codes.UNMAP)
        asked, purge = False, Purge()
        for _ in range(MOST_STEPS):
            action = self._step(_FREEING, cpu, purge)
            asked |= action == actions.WAKE_WORKER
            if action == actions.DONE:
                return asked, purge
        raise self._endless("an unmap")

    def collect(self) -> None:
        """Let the worker begin a purge, up to its flush."""
        self._begin(_WORKING, -1, 0, codes.WORK)
        self.purge, self.purging = Purge(), True
        self._work_until(lambda: self._step_cost.scans > 0)

    def return_pages(self, most: int = -1) -> int:
        """Let the purge return pages until at most `most` are lazy, or to its end; return how many it did."""
        before = self.lazy
        if self.purging and before > most:
            self._work_until(lambda: self._pool.lazy <= most)
        return before - self.lazy

    def _work_until(self, reached: Callable[[], bool]) -> None:
        """Take steps of the worker until `reached`, or until it is done."""
        for _ in range(MOST_STEPS):
            self.purging = self._step(_WORKING, 0, self.purge) != actions.DONE
            if not self.purging or reached():
                return
        raise self._endless("a purge")

    def _endless(self, what: str) -> UsageError:
        return UsageError(f"{self.name}: {what} takes more than a million steps; fix the design")

    def _begin(self, request: int, slot: int, pages: int, phase: int) -> None:
        r = self._requests[request]
        r.step = r.mark = r.budget = 0
        r.slot, r.pages, r.unmapping = slot, pages, phase

    def _step(self, request: int, cpu: int, purge: Purge) -> int:
        """Take a step of the design, and note what it collected and flushed."""
        try:
            action = self._take_step(self._machine, self._state, request, cpu % self._cpus)
        except IndexError as error:
            raise UsageError(f"{self.name}: {error}; fix the design") from error
        d = self._step_cost
        if d.scans:
            purge.areas += int(d.freed)
            if action in (actions.FLUSH_ALL, actions.FLUSH_MASK):
                purge.first, purge.slots = int(d.range_first), int(d.range_slots)
        return int(action)
