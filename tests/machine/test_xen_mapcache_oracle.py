"""Xen's mapcache against sets and dicts: which slot, which hash entry, and who flushes when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_LOCAL, LOCK, SLEEP, UNLOCK
from pipeline.allocators.registry import load_allocator
from pipeline.machine.engine.records import S_FINISHED
from pipeline.schema.codes import E_FINDING, E_LOCAL_FLUSH, FALLBACK, HIT, MISS, STALE_TRANSLATION
from tests.machine.cached_pools import MISTAKES, CachedPoolMachine
from tests.machine.oracle import MOST_NESTED, THOROUGH, wander
from tests.machine.runs import Outcome, Rows, machine, mutate_allocator, rows, simulate
from tests.machine.steps import Task

DOMAIN = 1


@dataclass
class Recent:
    """A mapping that a CPU keeps, and how many use it."""

    page: int
    slot: int
    users: int = 0


class MapcacheMachine(CachedPoolMachine):
    """Slots of the cache from 0; every map follows a plan: the actions that it must take."""

    allocator = load_allocator("xen_mapcache")
    slots_per_cpu: ClassVar[int] = 2
    processes: ClassVar[int] = 2

    @initialize(
        slots=st.integers(2, 4),
        flush_if_any=st.booleans(),
        wake=st.sampled_from(["all", "one"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, flush_if_any: bool, wake: str, cpus: int, tasks: int, nested: int) -> None:
        super().start(slots, flush_if_any, wake, cpus, tasks, nested)
        self.free = set(range(self.slots_per_cpu * cpus))
        self.garbage: set[int] = set()
        self.cursor = 0
        self.recent: dict[tuple[int, int], Recent] = {}
        self.up_to_date = set(range(cpus))
        self.at_wrap: set[tuple[int, int]] = set()
        self.plans: dict[int, Iterator[int]] = {}
        self.in_pool: set[int] = set()
        self.locked: set[int] = set()

    def lay_out(self, options, cpus, tasks, nested=MOST_NESTED, processes=None) -> None:
        super().lay_out(options, cpus, tasks, nested, min(self.processes, tasks))

    def more_options(self) -> dict[str, str]:
        return {"slots_per_cpu": str(self.slots_per_cpu)}

    def in_spaces(self) -> set[tuple[int, int]]:
        """Each CPU with when it came into the address space that it is in."""
        return {(cpu, int(space.emptied)) for cpu, space in enumerate(self.bench.state.spaces)}

    def plan(self, task: Task) -> Iterator[int]:
        """The actions of a map; after the UNLOCK of one that fails begin those of the pool."""
        r = task.request
        recent = self.recent.get((task.cpu, r.page % 8))
        if recent and recent.page == r.page:
            recent.users += 1
            self._answer(task, recent.slot, HIT, 0)
            yield DONE
            return
        yield LOCK
        if task.cpu not in self.up_to_date:
            self.up_to_date.add(task.cpu)
            # A CPU that has come into another address space since the wrap has lost all the cache's entries.
            if {c for c, _ in self.at_wrap & self.in_spaces()} & {task.cpu}:
                yield FLUSH_LOCAL
        slot = min((k for k in self.free if k >= self.cursor), default=None)
        displaced = 0
        if slot is None:
            self.free |= self.garbage
            self.garbage.clear()
            slot = min(self.free, default=None)
            if slot is None:
                slot, displaced = self._displace(task.cpu, r.page), 1
            if slot is None:
                yield UNLOCK
                self.in_pool.add(task.number)
                return
            self.up_to_date = {task.cpu}
            self.at_wrap = self.in_spaces()
            self._use(slot)
            yield FLUSH_LOCAL
        else:
            self._use(slot)
        yield UNLOCK
        self._answer(task, slot, MISS, 1 + displaced)
        yield DONE

    def _use(self, slot: int) -> None:
        self.free.discard(slot)
        self.cursor = slot + 1

    def _displace(self, cpu: int, page: int) -> int | None:
        for k in range(page, page + 8):
            recent = self.recent.get((cpu, k % 8))
            if recent and recent.users == 0:
                del self.recent[cpu, k % 8]
                return recent.slot
        return None

    def _answer(self, task: Task, slot: int, served: int, ptes: int) -> None:
        r = task.request
        assert (r.slot, r.served) == (self.oracle.slots + slot, served)
        # What was spent counts from the lock on: the same request's other steps had none.
        assert (r.pte_writes, r.invalidations) == (ptes, 0)

    def answered(self, task: Task) -> None:
        r = task.request
        if r.unmapping:
            self._unmapped(task)
        elif task.number in self.in_pool or self._goes_to_pool(task):
            self._in_pool(task)
        own = [held for held in self.held(task) if held.slot >= self.oracle.slots]
        assert task.pinned == len(own)

    def _goes_to_pool(self, task: Task) -> bool:
        """Follow the plan of a map; return whether it has ended without a slot."""
        plan = self.plans.setdefault(task.number, self.plan(task))
        wanted = next(plan, None)
        if wanted is not None:
            assert task.action == wanted
            assert task.action != LOCK or task.argument == DOMAIN
        if task.action == DONE or wanted is None:
            del self.plans[task.number]
        return wanted is None

    def _in_pool(self, task: Task) -> None:
        assert task.action != LOCK or task.argument == 0
        if task.action == DONE:
            assert task.request.served == FALLBACK
            self.in_pool.remove(task.number)
        super().answered(task)

    def _unmapped(self, task: Task) -> None:
        r = task.request
        if r.slot < self.oracle.slots:
            super().answered(task)
            return
        assert task.action == DONE, "no lock"
        slot = r.slot - self.oracle.slots
        place = (task.cpu, r.page % 8)
        recent = self.recent.get(place)
        if recent and recent.slot == slot:
            recent.users -= 1
        elif recent and recent.users:
            self.garbage.add(slot)
        else:
            self.garbage |= {recent.slot} if recent else set()
            self.recent[place] = Recent(r.page, slot)

    def held(self, task: Task) -> list:
        """Mappings in force, without one that is being undone by the pool."""
        undone = task.request.unmapping and task.action != DONE and task.request in task.mapped
        return [held for held in task.mapped if not (undone and held is task.request)]

    def taken(self) -> list[int]:
        return [slot for slot in super().taken() if slot < self.oracle.slots]

    def compare(self) -> None:
        super().compare()
        states = [int(slot.state) for slot in self.bench.state.slots][self.oracle.slots :]
        assert {k for k, state in enumerate(states) if state == 0} == self.free
        assert {k for k, state in enumerate(states) if state == 2} == self.garbage
        hashes = {
            divmod(n, 8): Recent(int(e.page), int(e.slot) - self.oracle.slots, int(e.users))
            for n, e in enumerate(list(self.bench.state.pool)[1:])
            if e.slot
        }
        assert hashes == self.recent


def chosen(allocator=MapcacheMachine.allocator, **how) -> MapcacheMachine:
    return type("Chosen", (MapcacheMachine,), {"allocator": allocator, **how})()


def walk(machine: MapcacheMachine, slots: int = 2) -> Counter[int]:
    """Wander with more tasks than the cache and the pool have slots, some of which nest."""
    start = partial(machine.start, slots, False, "all", cpus=2, tasks=14, nested=3)
    return wander(machine, slots, 3_000, start)


def test_the_cache_does_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(MapcacheMachine, settings=settings(THOROUGH, max_examples=60))


@pytest.mark.parametrize("slots_per_cpu", [1, 3, 8])
@pytest.mark.parametrize("processes", [1, 14])
def test_the_cache_does_what_the_oracle_says_on_a_long_walk(slots_per_cpu: int, processes: int) -> None:
    taken = walk(chosen(slots_per_cpu=slots_per_cpu, processes=processes))
    assert min(taken[DONE], taken[FLUSH_LOCAL]) > 10
    assert taken[SLEEP] > 0 or slots_per_cpu == 8


WRONG = {
    "a wrap is not flushed": ("r.step = _TAKEN\n    return FLUSH_LOCAL", "r.step = _TAKEN\n    return 0"),
    "other CPUs do not flush": ("a.pool[0].wrapped) & this_cpu(d):", "a.pool[0].wrapped) & 0:"),
    "a wrap is not told": ("    domain.epoch += 1\n", ""),
    "when it was is not remembered": ("    domain.wrapped = d.moment\n", ""),
    "garbage is free at once": ("    a.slots[slot].state = _GARBAGE\n", "    a.slots[slot].state = _FREE\n"),
    "an entry in use is displaced": ("if entry.slot > 0 and entry.users == 0:", "if entry.slot > 0:"),
    "a displaced entry stays": ("            entry.slot = 0\n", ""),
    "a use of an entry does not count": ("            entry.users += 1\n", ""),
    "an entry in use is replaced": ("elif entry.slot > 0 and entry.users > 0:", "elif False:"),
    "what an entry had is lost": ("        if entry.slot > 0:\n            _discard(a, d, entry.slot)\n", ""),
    "all CPUs share a hash": ("return 1 + d.cpu * HASH +", "return 1 +"),
    "the task may leave its CPU": ("        pin(d)\n        write_pte(d)\n", "        write_pte(d)\n"),
    "the pool's lock is over the cache": ("_DOMAIN_LOCK = 1", "_DOMAIN_LOCK = 0"),
}  # fmt: skip
THEIRS = {name: MISTAKES[name] for name in ("a hit does not count", "nobody is woken")}


@pytest.mark.parametrize("mistake", WRONG | THEIRS)
def test_the_oracle_catches_a_cache_in_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([(WRONG | THEIRS)[mistake]]), "xen_mapcache")
    with pytest.raises((AssertionError, IndexError)):
        for slots_per_cpu in (3, 8):
            for processes in (1, 2):
                walk(chosen(broken, slots_per_cpu=slots_per_cpu, processes=processes))


# On the machine.
EACH = np.arange(1_200)
CROWD = rows(1_200, task=EACH % 3, page=EACH % 97, hold_ns=5, think_ns=np.where(EACH % 3, 10, 700))


def replay(directory: Path, trace: Rows, cpus: int, allocator: object = "xen_mapcache", **how) -> Outcome:
    processes = [0] * (int(trace.task.max()) + 1)
    return simulate(allocator, machine(directory, cpus), trace, process_of=processes, **how)  # type: ignore[arg-type]


def found(outcome: Outcome) -> set[int]:
    return set(outcome.of_kind(E_FINDING)["value"].tolist())


def test_one_task_flushes_once_for_each_time_round_the_cache(tmp_path: Path) -> None:
    outcome = replay(tmp_path, rows(64, page=np.arange(64), hold_ns=5), cpus=1)
    # The first 16 maps fill the cache; eight of them stay in the hash, so that each wrap frees the others.
    wraps = outcome.of_kind(E_LOCAL_FLUSH)["op"].tolist()
    assert wraps == [16, 24, 32, 40, 48, 56]
    assert (outcome.totals["ipis"], outcome.totals["flushes"], outcome.totals["scans"]) == (0, 0, 6)


def test_a_page_that_is_used_again_takes_no_lock(tmp_path: Path) -> None:
    outcome = replay(tmp_path, rows(64, page=np.arange(64) % 8, hold_ns=5), cpus=1)
    assert (outcome.totals["hits"], outcome.totals["misses"]) == (56, 8)
    assert outcome.totals["full_local_flushes"] == 0


@pytest.mark.parametrize("mistake", ["a wrap is not flushed", "other CPUs do not flush"])
def test_a_flush_left_out_shows_as_a_stale_translation(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([WRONG[mistake]]), "xen_mapcache")
    few = {"slots_per_cpu": "8"}
    assert found(replay(tmp_path, CROWD, 3, options=few)) == set()
    assert found(replay(tmp_path, CROWD, 3, broken, options=few)) == {STALE_TRANSLATION}


@pytest.mark.parametrize(("slots_per_cpu", "fallbacks"), [(16, 0), (8, 8), (1, 15)])
def test_nesting_sixteen_deep_falls_back_and_does_not_hang(
    slots_per_cpu: int, fallbacks: int, tmp_path: Path
) -> None:
    trace = rows(16, depth=range(16), page=range(16), hold_ns=[100 - k for k in range(16)])
    outcome = replay(tmp_path, trace, 1, options={"slots_per_cpu": str(slots_per_cpu)})
    assert (outcome.status, found(outcome), outcome.problems) == (S_FINISHED, set(), [])
    assert (outcome.operations["served"] == FALLBACK).sum() == fallbacks
