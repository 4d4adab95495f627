"""The mermap against regions told a second time, with the pool or the page in reserve behind them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_LOCAL, LOCK, PREFAULT, SLEEP
from pipeline.allocators.registry import load_allocator
from pipeline.machine.engine.records import S_FINISHED
from pipeline.schema.codes import E_FINDING, E_LOCAL_FLUSH, FALLBACK, MISS, STALE_TRANSLATION
from tests.machine.cached_pools import MISTAKES, CachedPoolMachine
from tests.machine.oracle import MOST_NESTED, THOROUGH, wander
from tests.machine.runs import Outcome, Rows, machine, mutate_allocator, rows, simulate
from tests.machine.steps import Task


@dataclass
class Region:
    """Pages of one process on one CPU: those in use, and those that were so at the last flush or since."""

    pages: int
    entries: int
    in_use: set[int] = field(default_factory=set)
    since_flush: set[int] = field(default_factory=set)
    reserve: str = "clean"

    def flush(self) -> None:
        self.since_flush = set(self.in_use)
        if self.reserve == "stale":
            self.reserve = "clean"


def above(pages: set[int]) -> int:
    """The page above all of these."""
    return max(pages, default=-1) + 1


class MermapMachine(CachedPoolMachine):
    """Every map follows a plan: the actions that it must take, told from the regions alone."""

    allocator = load_allocator("mermap")
    pages: ClassVar[int] = 2
    entries: ClassVar[int] = 2
    fall_back: ClassVar[str] = "pool"
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
        # Nobody may sleep for the pool who has the page in reserve: there the pool never runs out.
        super().start(slots if self.fall_back == "pool" else 64, flush_if_any, wake, cpus, tasks, nested)
        self.regions: dict[tuple[int, int], Region] = defaultdict(lambda: Region(self.pages, self.entries))
        self.plans: dict[int, Iterator[int]] = {}
        self.in_pool: set[int] = set()

    def lay_out(self, options, cpus, tasks, nested=MOST_NESTED, processes=None) -> None:
        super().lay_out(options, cpus, tasks, nested, min(self.processes, tasks))

    def more_options(self) -> dict[str, str]:
        return {
            "region_pages": str(self.pages), "entries": str(self.entries), "fall_back": self.fall_back
        }  # fmt: skip

    def region_of(self, task: Task) -> Region:
        return self.regions[task.process, task.cpu]

    def slot_of(self, task: Task, page: int) -> int:
        number = task.process * self.bench.shape.cpus + task.cpu
        return self.oracle.slots + number * (self.pages + 1) + page

    def plan(self, task: Task) -> Iterator[int]:
        """The actions of a map; after the last that is its own, LOCK begins those of the pool."""
        if (yield from self._take(task)):
            return
        if self.fall_back == "reserve" and self.region_of(task).reserve != "in use":
            yield PREFAULT
            if (yield from self._take(task)):
                return
            region = self.region_of(task)
            if region.reserve != "in use":
                if region.reserve == "stale":
                    region.flush()
                    yield FLUSH_LOCAL
                region.reserve = "in use"
                self._answer(task, self.pages, FALLBACK)
                yield DONE
                return
        self.in_pool.add(task.number)
        yield LOCK

    def _take(self, task: Task) -> Generator[int, None, bool]:
        region = self.region_of(task)
        if above(region.since_flush) == region.pages > above(region.in_use):
            region.flush()
            yield FLUSH_LOCAL
        page = above(region.since_flush)
        if page == region.pages or len(region.in_use) == region.entries:
            return False
        region.since_flush.add(page)
        region.in_use.add(page)
        self._answer(task, page, MISS)
        yield DONE
        return True

    def _answer(self, task: Task, page: int, served: int) -> None:
        r = task.request
        assert (r.slot, r.served, r.pte_writes) == (self.slot_of(task, page), served, 1)

    def answered(self, task: Task) -> None:
        r = task.request
        if task.number in self.in_pool or (r.unmapping and r.slot < self.oracle.slots):
            self._in_pool(task)
        elif r.unmapping:
            self._unmapped(task)
        else:
            plan = self.plans.setdefault(task.number, self.plan(task))
            assert task.action == next(plan)
            if task.number in self.in_pool:
                self._in_pool(task)
            if task.action in (DONE, LOCK):
                del self.plans[task.number]
        own = [held.slot for held in self.held(task) if held.slot >= self.oracle.slots]
        assert task.pinned == len(own)
        assert task.atomic == sum((slot - self.slot_of(task, 0)) == self.pages for slot in own)

    def _in_pool(self, task: Task) -> None:
        if task.action == DONE:
            assert task.request.served == FALLBACK
            self.in_pool.discard(task.number)
        super().answered(task)

    def _unmapped(self, task: Task) -> None:
        r = task.request
        region, page = self.region_of(task), r.slot - self.slot_of(task, 0)
        assert (task.action, r.pte_writes, r.invalidations) == (DONE, 2, 0), "an unmap flushes nothing"
        if page == self.pages:
            assert region.reserve == "in use"
            region.reserve = "stale"
        else:
            region.in_use.remove(page)

    def held(self, task: Task) -> list:
        """Mappings in force, without one that is being undone by the pool."""
        undone = task.request.unmapping and task.action != DONE and task.request in task.mapped
        return [held for held in task.mapped if not (undone and held is task.request)]

    def taken(self) -> list[int]:
        return [slot for slot in super().taken() if slot < self.oracle.slots]

    def compare(self) -> None:
        super().compare()
        cpus = self.bench.shape.cpus
        for (process, cpu), region in self.regions.items():
            first = self.oracle.slots + (process * cpus + cpu) * (self.pages + 1)
            mapped = {k for k in range(self.pages + 1) if self.bench.state.slots[first + k].mapped}
            assert mapped == region.in_use | ({self.pages} if region.reserve == "in use" else set())


def chosen(allocator=MermapMachine.allocator, **how) -> MermapMachine:
    return type("Chosen", (MermapMachine,), {"allocator": allocator, **how})()


def walk(machine: MermapMachine, slots: int = 2) -> Counter[int]:
    """Wander with more tasks than the entries of the CPUs and the pool have room for, some of which nest."""
    start = partial(machine.start, slots, False, "all", cpus=2, tasks=14, nested=3)
    return wander(machine, slots, 3_000, start)


@pytest.mark.parametrize("fall_back", ["pool", "reserve"])
def test_regions_do_what_the_oracle_says_in_every_interleaving(fall_back: str) -> None:
    chosen_machine = type("Chosen", (MermapMachine,), {"fall_back": fall_back})
    run_state_machine_as_test(chosen_machine, settings=settings(THOROUGH, max_examples=60))


@pytest.mark.parametrize("pages", [1, 2, 5])
@pytest.mark.parametrize("entries", [1, 3])
@pytest.mark.parametrize("processes", [1, 14])
def test_regions_do_what_the_oracle_says_on_a_long_walk(pages: int, entries: int, processes: int) -> None:
    taken = walk(chosen(pages=pages, entries=entries, processes=processes))
    assert min(taken[DONE], taken[FLUSH_LOCAL]) > 5
    assert taken[SLEEP] > 0 or processes > 1


@pytest.mark.parametrize("processes", [1, 14])
def test_the_page_in_reserve_does_what_the_oracle_says_on_a_long_walk(processes: int) -> None:
    taken = walk(chosen(fall_back="reserve", processes=processes))
    assert min(taken[DONE], taken[FLUSH_LOCAL], taken[PREFAULT]) > 20


TAKE = "        if region.mapped < a.options[0].entries and region.next < a.options[0].region_pages:"
WRONG = {
    "a region ends late": (TAKE, TAKE.replace("next <", "next <=")),
    "a task has an entry too many": (TAKE, TAKE.replace("mapped <", "mapped <=")),
    "a flush is forgotten": ("    return FLUSH_LOCAL\n", "    return 0\n"),
    "pages in use are given away": ("region.next = highest\n", "region.next = 0\n"),
    "all processes share a region": ("1 + r.process * d.cpus + d.cpu", "1 + d.cpu"),
    "all CPUs share a region": ("1 + r.process * d.cpus + d.cpu", "1 + r.process * d.cpus"),
    "the task may leave its CPU": ("            pin(d)\n", ""),
    "the task stays bound": ("        unpin(d)\n", ""),
    "a mapping is never undone": ("        region.mapped -= 1\n", ""),
    "the reserve may be slept in": ("    forbid_sleep(d)\n", "    pin(d)\n"),
    "the reserve is not flushed before reuse": (
        "r.step = _RESERVE_FLUSHED\n                return _flush(region)\n",
        "pass\n",
    ),
    "nothing is done beforehand for the reserve": ("return PREFAULT\n", "return 0\n"),
}  # fmt: skip
THEIRS = {name: MISTAKES[name] for name in ("a hit does not count", "nobody is woken")}


@pytest.mark.parametrize("mistake", WRONG | THEIRS)
def test_the_oracle_catches_regions_in_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([(WRONG | THEIRS)[mistake]]), "mermap")
    with pytest.raises((AssertionError, IndexError)):
        for fall_back in ("pool", "reserve"):
            for processes in (1, 2):
                walk(chosen(broken, pages=3, fall_back=fall_back, processes=processes))


# On the machine.
def replay(directory: Path, trace: Rows, cpus: int, allocator: object = "mermap", **options: str) -> Outcome:
    prices = machine(directory, cpus, tlb_flush_ns=100, tlb_refill_ns=20, pte_write_ns=10, local_entry_ns=1)
    processes = [0] * (int(trace.task.max()) + 1)
    return simulate(allocator, prices, trace, options=options, process_of=processes)  # type: ignore[arg-type]


def found(outcome: Outcome) -> set[int]:
    return set(outcome.of_kind(E_FINDING)["value"].tolist())


def test_one_task_flushes_its_own_tlb_once_for_each_time_round_the_region(tmp_path: Path) -> None:
    outcome = replay(tmp_path, rows(40, page=np.arange(40), hold_ns=5), cpus=2, region_pages="8")
    assert outcome.of_kind(E_LOCAL_FLUSH)["op"].tolist() == [8, 16, 24, 32]
    assert outcome.operations["slot"].tolist() == [1024 + k % 8 for k in range(40)]
    assert (outcome.totals["ipis"], outcome.totals["flushes"]) == (0, 0)
    waited = outcome.operations["mapped_ns"] - outcome.operations["asked_ns"]
    assert set(waited[8::8].tolist()) == {120 + int(waited[0]) + 1 + 4}
    assert found(outcome) == set()


def test_a_flush_left_out_shows_as_a_stale_translation(tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([WRONG["a flush is forgotten"]]), "mermap")
    each = np.arange(120)
    trace = rows(120, task=each % 3, page=each % 7, hold_ns=5, block_ns=50 + 17 * (each % 5))
    assert found(replay(tmp_path, trace, 2, region_pages="4")) == set()
    assert found(replay(tmp_path, trace, 2, broken, region_pages="4")) == {STALE_TRANSLATION}


@pytest.mark.parametrize(("region_pages", "entries", "fallbacks"), [(64, 4, 12), (3, 4, 13), (64, 16, 0)])
def test_nesting_sixteen_deep_falls_back_and_does_not_hang(
    region_pages: int, entries: int, fallbacks: int, tmp_path: Path
) -> None:
    trace = rows(16, depth=range(16), page=range(16), hold_ns=[100 - k for k in range(16)])
    outcome = replay(tmp_path, trace, 1, region_pages=str(region_pages), entries=str(entries))
    assert (outcome.status, found(outcome), outcome.problems) == (S_FINISHED, set(), [])
    assert (outcome.operations["served"] == FALLBACK).sum() == fallbacks


def test_nesting_sixteen_deep_in_the_reserve_uses_the_pool_behind_it(tmp_path: Path) -> None:
    trace = rows(16, depth=range(16), page=range(16), hold_ns=[100 - k for k in range(16)])
    outcome = replay(tmp_path, trace, 1, fall_back="reserve")
    assert (outcome.status, found(outcome), outcome.problems) == (S_FINISHED, set(), [])
    slots = outcome.operations["slot"].tolist()
    assert slots[:5] == [1024, 1025, 1026, 1027, 1024 + 64]
    assert slots[5:] == list(range(1, 12))
