from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_LOCAL, SLEEP, STEP, WAKE_ALL, WAKE_ONE
from pipeline.allocators.api.contract import Shape
from pipeline.allocators.registry import load_allocator
from tests.machine.oracle import MOST_NESTED, THOROUGH, wander
from tests.machine.private_pools import OwnPoolMachine
from tests.machine.runs import mutate_allocator
from tests.machine.steps import Task


class PerCpuCachedMachine(OwnPoolMachine):
    """`percpu_cached`: a pool for each CPU, whose tasks are bound to it while they have something mapped."""

    allocator = load_allocator("percpu_cached")
    mapped_at = DONE

    @initialize(
        slots=st.integers(2, 4),
        wake=st.sampled_from(["all", "one"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, wake: str, cpus: int, tasks: int, nested: int) -> None:
        self.lay_out({"slots": str(slots), "wake": wake}, cpus, tasks, nested)
        self.own(cpus, slots, wake)

    def pool_of(self, task: Task) -> int:
        return task.cpu

    def answered(self, task: Task) -> None:
        r = task.request
        assert task.action in (DONE, FLUSH_LOCAL, SLEEP, STEP, WAKE_ALL, WAKE_ONE), "no lock, no interrupt"
        assert r.invalidations == 0
        if r.unmapping and task.action in (STEP, WAKE_ALL, WAKE_ONE):
            assert r.slot // self.slots == task.cpu
            self.unmap_took_effect(task)
            assert (task.action != STEP) == (task.number in self.owe_wake)
        super().answered(task)
        # A map whose pass is being flushed for is not pinned yet, an unmap that is not over not any more.
        under_way = r.unmapping and task.action != DONE
        assert task.pinned == len(task.mapped) + (task.action == SLEEP) - under_way


def test_the_per_cpu_pools_do_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(PerCpuCachedMachine, settings=settings(THOROUGH, max_examples=50))


def walk(machine: PerCpuCachedMachine, slots: int) -> Counter[int]:
    """Wander with more tasks than slots, some of which nest."""
    return wander(machine, slots, 2_000, partial(machine.start, slots, "all", cpus=3, tasks=12, nested=2))


@pytest.mark.parametrize("slots", [2, 3])
def test_the_per_cpu_pools_do_what_the_oracle_says_on_a_long_walk(slots: int) -> None:
    taken = walk(PerCpuCachedMachine(), slots)
    assert min(taken[DONE], taken[SLEEP], taken[FLUSH_LOCAL], taken[WAKE_ALL]) > 20


MISTAKES = {
    "a wrap flushes nothing": ("        return FLUSH_LOCAL\n", "        return STEP\n"),
    "the task is not pinned": ("            pin(d)\n            return DONE", "            return DONE"),
    "the task stays pinned": ("    unpin(d)\n    r.step", "    r.step"),
    "a waiter stays pinned": (
        "if r.step == _WOKEN:\n            unpin(d)",
        "if r.step == _WOKEN:\n            pass",
    ),
    "all CPUs use one pool": ("use_cached(a, r, d.cpu)", "use_cached(a, r, 0)"),
    "waiters sleep in one queue": ("        d.queue = d.cpu\n        return SLEEP", "        return SLEEP"),
    "nobody is woken": ("not free or", "True or"),
    "a hit does not count": ("return False\n    a.slots[cached].count += 1", "return False"),
    "a slot in use becomes clean": ("a.slots[at].count == 1:", "a.slots[at].count > 0:"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_pools_in_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[mistake]]), "percpu_cached")
    with pytest.raises(AssertionError):
        walk(type("Broken", (PerCpuCachedMachine,), {"allocator": broken})(), 2)


def test_every_struct_page_has_a_word_for_each_cpu() -> None:
    # 16 GB of pages of 4 KB, 32 CPUs.
    each = load_allocator("percpu_cached").module.page_struct_bytes({"slots": 64}, Shape(32, 1, 1, 1))
    assert each * (16 << 30) // 4096 == 536_870_912
