from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import ATTEMPT, DONE, LOCK, PREFAULT, SLEEP
from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import FALLBACK, MISS
from pipeline.schema.names import KINDS
from tests.machine.cached_pools import CachedPoolMachine
from tests.machine.oracle import THOROUGH, wander
from tests.machine.runs import mutate_allocator
from tests.machine.steps import Task

COPIES = (KINDS.index("copy_to_user"), KINDS.index("copy_from_user"))
NESTING = 3


class AtomicMachine(CachedPoolMachine):
    """`atomic`: a slot for each CPU and depth, and a pool for the copies that fault although prefaulted.

    `held` are the atomic slots in force, (cpu, depth) by task, innermost last.
    """

    allocator = load_allocator("atomic")
    refaults = 0
    at_unmap = False

    @initialize(
        slots=st.integers(2, 4),
        flush_if_any=st.booleans(),
        wake=st.sampled_from(["all", "one"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, NESTING),
    )
    def start(self, slots: int, flush_if_any: bool, wake: str, cpus: int, tasks: int, nested: int) -> None:
        super().start(slots, flush_if_any, wake, cpus, tasks, nested)
        self.held: dict[int, list[tuple[int, int]]] = {task: [] for task in range(tasks)}
        self.falls_back: set[int] = set()

    def more_options(self) -> dict[str, str]:
        at_unmap = str(self.at_unmap).lower()
        return {
            "nesting": str(NESTING), "refault_per_1000": str(self.refaults), "invalidate_at_unmap": at_unmap
        }  # fmt: skip

    def kind_of(self, task: Task, page: int, where: int) -> int:
        # Nothing that could fall back on a map that sleeps belongs inside an atomic one.
        return KINDS.index("page_fault") if task.atomic else super().kind_of(task, page, where)

    def answered(self, task: Task) -> None:
        r = task.request
        if r.unmapping:
            self._unmapped(task)
        elif task.action == PREFAULT:
            assert r.pte_writes == 0
            assert not (r.kind in COPIES and self.refaults == 1000)
        elif task.action == ATTEMPT:
            assert r.kind in COPIES
            assert self.refaults > 0
            self._mapped_atomically(task)
            self.falls_back.add(task.number)
        elif task.number in self.falls_back:
            self._falling_back(task)
        else:
            assert task.action == DONE
            assert r.served == MISS
            self._mapped_atomically(task)
        self._compare_pins(task)

    def _mapped_atomically(self, task: Task) -> None:
        r = task.request
        place = (task.cpu, r.depth)
        assert place not in [other for held in self.held.values() for other in held]
        assert r.slot == self.oracle.slots + task.cpu * NESTING + r.depth
        assert (r.pte_writes, r.invalidations) == (1, 0 if self.at_unmap else 1)
        self.held[task.number].append(place)

    def _falling_back(self, task: Task) -> None:
        """The copy has been tried in vain, or is being mapped by the pool."""
        held = self.held[task.number]
        if task.action == LOCK and len(held) == 1 + self._atomic_below(task):
            held.pop()
        if task.action == DONE:
            assert task.request.served == FALLBACK
            self.falls_back.remove(task.number)
        super().answered(task)

    def _atomic_below(self, task: Task) -> int:
        return sum(request.served == MISS for request in task.mapped)

    def _unmapped(self, task: Task) -> None:
        r = task.request
        if r.served == FALLBACK:
            super().answered(task)
            return
        assert task.action == DONE
        assert self.held[task.number].pop() == (task.cpu, r.depth)
        assert r.invalidations == 1
        assert r.pte_writes == (2 if self.at_unmap else 1)

    def _compare_pins(self, task: Task) -> None:
        assert task.pinned == task.atomic == len(self.held[task.number])

    def taken(self) -> list[int]:
        return [slot for slot in super().taken() if slot < self.oracle.slots]

    def compare(self) -> None:
        super().compare()
        held = {
            self.oracle.slots + cpu * NESTING + depth
            for places in self.held.values()
            for cpu, depth in places
        }
        assert {slot for slot in CachedPoolMachine.taken(self) if slot >= self.oracle.slots} == held


VARIANTS = pytest.mark.parametrize(
    ("refaults", "at_unmap"), [(0, False), (0, True), (400, False), (1000, True)]
)


def variant(refaults: int, at_unmap: bool) -> type[AtomicMachine]:
    return type("Variant", (AtomicMachine,), {"refaults": refaults, "at_unmap": at_unmap})


@VARIANTS
def test_atomic_maps_do_what_the_oracle_says_in_every_interleaving(refaults: int, at_unmap: bool) -> None:
    run_state_machine_as_test(variant(refaults, at_unmap), settings=settings(THOROUGH, max_examples=40))


def walk(machine: AtomicMachine, slots: int) -> Counter[int]:
    """Wander with many more tasks than CPUs and slots, some of which nest."""
    start = partial(machine.start, slots, False, "all", cpus=3, tasks=12, nested=NESTING)
    return wander(machine, slots, 4_000, start)


@VARIANTS
def test_atomic_maps_do_what_the_oracle_says_on_a_long_walk(refaults: int, at_unmap: bool) -> None:
    taken = walk(variant(refaults, at_unmap)(), 2)
    assert min(taken[DONE], taken[PREFAULT]) > 50
    assert (taken[ATTEMPT] > 50) == (taken[SLEEP] > 0) == (refaults > 0)


MISTAKES = {
    "the invalidation at map is forgotten": (
        "    if not a.options[0].invalidate_at_unmap:\n",
        "    if False:\n",
    ),
    "all depths have one slot": ("a.options[0].nesting + depth", "a.options[0].nesting"),
    "all CPUs have the same slots": ("d.cpu * a.options[0].nesting + depth", "depth"),
    "the task may sleep": ("    forbid_sleep(d)\n", ""),
    "the task may never sleep again": ("    allow_sleep(d)\n", ""),
    "the vain attempt keeps its slot": (
        "        _unmap_atomic(a, r, d)\n        r.slot = -1\n",
        "        r.slot = -1\n",
    ),
    "page tables fall back": ("again = _is_copy(r) and _faults_again(a, r)", "again = _faults_again(a, r)"),
    "falling back is not told": ("        r.served = FALLBACK\n", "        pass\n"),
    "the persistent map stays": ("return unmap_cached(a, r, d, 0)", "return DONE"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_atomic_maps_in_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[mistake]]), "atomic")

    class Broken(AtomicMachine):
        allocator = broken
        refaults = 400

    with pytest.raises(AssertionError):
        walk(Broken(), 2)
