from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_LOCAL, FLUSH_MASK, SHOOT_DOWN, SLEEP, UNLOCK, WAKE_ALL
from pipeline.allocators.registry import load_allocator
from tests.machine.oracle import MOST_NESTED, THOROUGH, wander
from tests.machine.private_pools import OwnPoolMachine
from tests.machine.runs import mutate_allocator
from tests.machine.steps import Task


class PerProcessMachine(OwnPoolMachine):
    """`stayed` has the CPUs that were in a process's address space at its last release, and since when.

    `stayed_since` has them for each slot.

    The semaphore is had by task `owner[p]` of process `p`, as often as it has something mapped.
    """

    allocator = load_allocator("per_process")
    semaphore = False

    @initialize(
        slots=st.integers(2, 4),
        wake=st.sampled_from(["all", "one"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        processes=st.integers(1, 3),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, wake: str, cpus: int, tasks: int, processes: int, nested: int) -> None:
        options = {"slots": slots, "wake": wake, "cache": self.cache, "semaphore": self.semaphore}
        processes = min(processes, tasks)
        self.lay_out({k: str(v).lower() for k, v in options.items()}, cpus, tasks, nested, processes)
        self.own(processes, slots, wake)
        self.stayed: list[set[tuple[int, int]]] = [set() for _ in range(processes)]
        self.stayed_since: dict[int, set[tuple[int, int]]] = {}
        self.owner: list[int | None] = [None] * processes
        self.has: Counter[int] = Counter()

    def pool_of(self, task: Task) -> int:
        return task.process

    def may_map(self, task: Task) -> bool:
        return not self.semaphore or self.owner[task.process] in (None, task.number)

    def in_space(self, process: int) -> set[tuple[int, int]]:
        """CPUs that are in the address space of the process, with the moment they entered it."""
        spaces = self.bench.state.spaces
        return {(cpu, int(space.emptied)) for cpu, space in enumerate(spaces) if space.process == process}

    def answered(self, task: Task) -> None:
        r, p = task.request, task.process
        still = {cpu for cpu, _ in self.stayed[p] & self.in_space(p)}
        if task.action == UNLOCK and r.unmapping:
            self.unmap_took_effect(task)
            self.stayed[p] = self.stayed_since[r.slot] = self.in_space(p)
            self.has[task.number] -= 1
            if not self.has[task.number]:
                self.owner[p] = None
        elif task.action == UNLOCK:
            self.owner[p] = task.number
            self.has[task.number] += 1
        elif task.action in (FLUSH_LOCAL, FLUSH_MASK):
            assert self.cache
            assert still
            flushed = {task.cpu} if task.action == FLUSH_LOCAL else self.mask_of(r.mask)
            assert flushed == still | {task.cpu}
        elif task.action == SHOOT_DOWN:
            assert not self.cache
            still = {cpu for cpu, _ in self.stayed_since[r.slot] & self.in_space(p)}
            assert self.mask_of(r.mask) == still - {task.cpu} != set()
        super().answered(task)

    def mask_of(self, mask: int) -> set[int]:
        return {cpu for cpu in range(self.bench.shape.cpus) if mask >> cpu & 1}

    def compare(self) -> None:
        # Between the map and the unlock nothing is decided yet.
        if not any(self.bench.holds(task) for task in self.bench.tasks):
            super().compare()


VARIANTS = pytest.mark.parametrize(
    ("cache", "semaphore"), [(True, False), (True, True), (False, False), (False, True)]
)


def variant(cache: bool, semaphore: bool) -> type[PerProcessMachine]:
    return type("Variant", (PerProcessMachine,), {"cache": cache, "semaphore": semaphore})


@VARIANTS
def test_the_processes_pools_do_what_the_oracle_says_in_every_interleaving(
    cache: bool, semaphore: bool
) -> None:
    run_state_machine_as_test(variant(cache, semaphore), settings=settings(THOROUGH, max_examples=20))


def walk(machine: PerProcessMachine, slots: int, turns: int = 2_000) -> Counter[int]:
    """Wander with more threads than slots in each process, some of which nest."""
    start = partial(machine.start, slots, "all", cpus=3, tasks=9, processes=2, nested=2)
    return wander(machine, slots, turns, start)


@VARIANTS
def test_the_processes_pools_do_what_the_oracle_says_on_a_long_walk(cache: bool, semaphore: bool) -> None:
    taken = walk(variant(cache, semaphore)(), 2)
    assert min(taken[DONE], taken[SLEEP], taken[WAKE_ALL]) > 50
    assert (taken[FLUSH_LOCAL] + taken[FLUSH_MASK] > 20) == cache
    assert (taken[SHOOT_DOWN] > 20) == (not cache)


MISTAKES = {
    "a wrap flushes nothing": ("        if mask != 0:\n", "        if False:\n"),
    "only the own CPU is flushed": ("    d.cpu_mask = others | this_cpu(d)\n", "    return FLUSH_LOCAL\n"),
    "CPUs of other processes are flushed": ("d, p, pool.released)", "d, -1, pool.released)"),
    "a release is not remembered": ("    pool.released = d.moment\n", ""),
    "the processes share one lock": ("        d.lock = p\n        r.step", "        r.step"),
    "they sleep in one queue": ("    d.queue = p\n    if", "    if"),
    "nobody is woken": ("WAKE if free and a.queues[r.process].sleepers > 0 else END", "END"),
    "a hit does not count": ("return False\n    a.slots[cached].count += 1", "return False"),
    "a slot in use becomes clean": ("a.slots[at].count == 1:", "a.slots[at].count > 0:"),
}
MISTAKES_WITHOUT_CACHE = {
    "the own CPU keeps the address": ("        invalidate(a, d, slot)\n", "        pass\n"),
    "other CPUs keep the address": ("    invalidate_on(a, d, slot, others)\n", "    return STEP\n"),
    "the semaphore keeps nobody out": ("pool.owner not in (0, r.task + 1)", "False"),
    "the semaphore is never given back": ("            pool.owner = 0\n", "            pass\n"),
    "what was mapped is found": ("if a.options[0].cache and use_cached", "if use_cached"),
}


def is_wrong(cache: bool, change: tuple[str, str], directory: Path) -> None:
    broken = mutate_allocator(directory, "broken", dict([change]), "per_process")
    with pytest.raises(AssertionError):
        for semaphore in (not cache, cache):
            walk(type("Broken", (variant(cache, semaphore),), {"allocator": broken})(), 2)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_pools_in_which(mistake: str, tmp_path: Path) -> None:
    is_wrong(True, MISTAKES[mistake], tmp_path)


@pytest.mark.parametrize("mistake", MISTAKES_WITHOUT_CACHE)
def test_the_oracle_catches_pools_without_a_cache_in_which(mistake: str, tmp_path: Path) -> None:
    is_wrong(False, MISTAKES_WITHOUT_CACHE[mistake], tmp_path)
