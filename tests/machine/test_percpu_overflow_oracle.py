"""`percpu_pinned` with overflow=global: slots of the CPUs in front of a pool; nobody waits for them."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, SLEEP, STEP, WAKE_ALL
from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import FALLBACK, MISS
from tests.machine.cached_pools import MISTAKES, CachedPoolMachine
from tests.machine.oracle import MOST_NESTED, THOROUGH, PerCpuPools, wander
from tests.machine.runs import mutate_allocator
from tests.machine.steps import Task


class OverflowMachine(CachedPoolMachine):
    """The pool is held against its own oracle; a map may use it only when its CPU has no slot left."""

    allocator = load_allocator("percpu_pinned")
    slots_per_cpu = 1

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
        self.own = PerCpuPools(cpus, self.slots_per_cpu)
        self.in_pool: set[int] = set()

    def more_options(self) -> dict[str, str]:
        return {"slots_per_cpu": str(self.slots_per_cpu), "overflow": "global"}

    def answered(self, task: Task) -> None:
        r = task.request
        if r.unmapping:
            if r.served == FALLBACK:
                super().answered(task)
            elif task.action == STEP:
                assert not self.own.free(task.cpu, r.slot - self.oracle.slots)
        elif task.number not in self.in_pool and task.action == DONE:
            assert (r.served, r.invalidations, r.pte_writes) == (MISS, 1, 1)
            self.own.take(task.cpu, r.slot - self.oracle.slots)
        else:
            self._in_pool(task)
        assert task.pinned == sum(self._is_own(held.slot) for held in self._held(task))

    def _in_pool(self, task: Task) -> None:
        if task.number not in self.in_pool:
            assert self.own.full(task.cpu)
            self.in_pool.add(task.number)
        if task.action == DONE:
            assert task.request.served == FALLBACK
            self.in_pool.remove(task.number)
        super().answered(task)

    def _is_own(self, slot: int) -> bool:
        return slot >= self.oracle.slots

    def _held(self, task: Task) -> list:
        """Mappings for which the task is pinned: those in force, without one that is being undone."""
        undone = task.request.unmapping and task.action != DONE and task.request in task.mapped
        return [held for held in task.mapped if not (undone and held is task.request)]

    def taken(self) -> list[int]:
        return [slot for slot in super().taken() if slot < self.oracle.slots]

    def compare(self) -> None:
        super().compare()
        mapped = {s - self.oracle.slots for s, slot in enumerate(self.bench.state.slots) if slot.mapped}
        assert mapped == set().union(*self.own.taken.values())


def walk(machine: OverflowMachine, slots: int) -> Counter[int]:
    """Wander with more tasks than slots, some of which nest."""
    start = partial(machine.start, slots, False, "all", cpus=2, tasks=10, nested=2)
    return wander(machine, slots, 3_000, start)


def test_the_slots_and_the_pool_do_what_the_oracles_say_in_every_interleaving() -> None:
    run_state_machine_as_test(OverflowMachine, settings=settings(THOROUGH, max_examples=60))


@pytest.mark.parametrize("slots_per_cpu", [1, 2])
@pytest.mark.parametrize("slots", [2, 3])
def test_the_slots_and_the_pool_do_what_the_oracles_say_on_a_long_walk(
    slots: int, slots_per_cpu: int
) -> None:
    machine = type("Chosen", (OverflowMachine,), {"slots_per_cpu": slots_per_cpu})()
    taken = walk(machine, slots)
    assert min(taken[DONE], taken[SLEEP], taken[FLUSH_ALL], taken[WAKE_ALL]) > 10


THEIRS = {
    name: MISTAKES[name] for name in ("a hit does not count", "nobody is woken", "a slot in use is freed")
}
MORE_MISTAKES = {
    "the pool serves although the CPU has a slot": ("(r.step != _ASK or pool.free == 0)", "True"),
    "the slots of the CPUs lie in the pool": ("first = int(_first(a)) + c * per_cpu", "first = c * per_cpu"),
    "the task is pinned for the pool's slots too": (
        "        probe(d, 1)\n        r.step = ASK_AGAIN\n",
        "        probe(d, 1)\n        pin(d)\n        r.step = ASK_AGAIN\n",
    ),
    "a map of the pool is not one": ("        r.served = FALLBACK\n", "        pass\n"),
}


@pytest.mark.parametrize("mistake", THEIRS | MORE_MISTAKES)
def test_the_oracles_catch_slots_and_a_pool_where(mistake: str, tmp_path: Path) -> None:
    change = dict([(THEIRS | MORE_MISTAKES)[mistake]])
    broken = mutate_allocator(tmp_path, "broken", change, "percpu_pinned")
    with pytest.raises((AssertionError, IndexError)):
        for slots in (2, 3):
            walk(type("Broken", (OverflowMachine,), {"allocator": broken})(), slots)
