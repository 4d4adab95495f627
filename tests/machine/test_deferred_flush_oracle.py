from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, SLEEP, WAKE_ALL
from pipeline.allocators.registry import load_allocator
from tests.machine.deferred_flush_pools import MISTAKES, DeferredFlushMachine, is_wrong, walk
from tests.machine.oracle import MOST_NESTED, THOROUGH
from tests.machine.runs import mutate_allocator


class DeferredFlushMachine(DeferredFlushMachine):
    """`deferred_flush`: one part."""

    allocator = load_allocator("deferred_flush")
    parts = 1

    @initialize(
        slots=st.integers(2, 8),
        spare=st.integers(0, 3),
        batch=st.integers(0, 3),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, spare: int, batch: int, cpus: int, tasks: int, nested: int) -> None:
        self.begin_with(slots, {"spare": str(spare), "batch": str(batch)}, cpus, tasks, nested)


def test_the_pool_does_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(DeferredFlushMachine, settings=settings(THOROUGH, max_examples=40))


@pytest.mark.parametrize("spare", ["0", "1"])
@pytest.mark.parametrize("batch", ["0", "1"])
@pytest.mark.parametrize("slots", [2, 5])
def test_the_pool_does_what_the_oracle_says_on_a_long_walk(slots: int, batch: str, spare: str) -> None:
    taken = walk(DeferredFlushMachine(), slots, {"spare": spare, "batch": batch})
    assert min(taken[DONE], taken[SLEEP], taken[FLUSH_ALL], taken[WAKE_ALL]) > 20


MORE_MISTAKES = {
    "a flush begins at once although clean slots are left": ("a.pool[here].clean == spare", "True"),
    "the pass keeps the lock": ("    if batch > 0:\n", "    if batch > 1:\n"),
}


@pytest.mark.parametrize("mistake", MISTAKES | MORE_MISTAKES)
def test_the_oracle_catches_a_pool_in_which(mistake: str, tmp_path: Path) -> None:
    change = dict([(MISTAKES | MORE_MISTAKES)[mistake]])
    broken = mutate_allocator(tmp_path, "broken", change, "deferred_flush")
    is_wrong(DeferredFlushMachine, broken, {"spare": "1", "batch": "1"})
