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


class SplitPoolMachine(DeferredFlushMachine):
    """`split_pool`: two parts."""

    allocator = load_allocator("split_pool")
    parts = 2

    @initialize(
        slots=st.integers(2, 9),
        batch=st.integers(0, 3),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, batch: int, cpus: int, tasks: int, nested: int) -> None:
        self.begin_with(slots, {"batch": str(batch)}, cpus, tasks, nested)


def test_the_halves_do_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(SplitPoolMachine, settings=settings(THOROUGH, max_examples=40))


@pytest.mark.parametrize("batch", ["0", "1", "2"])
@pytest.mark.parametrize("slots", [2, 4, 7])
def test_the_halves_do_what_the_oracle_says_on_a_long_walk(slots: int, batch: str) -> None:
    taken = walk(SplitPoolMachine(), slots, {"batch": batch})
    assert min(taken[DONE], taken[SLEEP], taken[FLUSH_ALL], taken[WAKE_ALL]) > 20


MORE_MISTAKES = {
    "slots are taken from the half that is being flushed": (
        "    flush.part = parts - 1 - old\n",
        "    flush.part = old\n",
    ),
    "the flusher takes no slot of the other half": (
        "        _take(a, r, d, flush.part, size)\n",
        "        pass\n",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES | MORE_MISTAKES)
def test_the_oracle_catches_halves_in_which(mistake: str, tmp_path: Path) -> None:
    change = dict([(MISTAKES | MORE_MISTAKES)[mistake]])
    is_wrong(SplitPoolMachine, mutate_allocator(tmp_path, "broken", change, "split_pool"), {"batch": "1"})
