from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, SLEEP
from pipeline.allocators.registry import load_allocator
from tests.machine.cached_pools import MISTAKES, CachedPoolMachine, is_wrong, walk
from tests.machine.oracle import THOROUGH, CachedPools
from tests.machine.runs import mutate_allocator


class ClairvoyantMachine(CachedPoolMachine):
    """A pool whose first round begins with the first slot, and that never flushes for nothing."""

    allocator = load_allocator("clairvoyant")

    def pools(self, slots: int, flush_if_any: bool) -> CachedPools:
        oracle = CachedPools(slots, flush_if_any=True)
        oracle.cursor = [-1]
        return oracle


def test_the_pool_does_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(ClairvoyantMachine, settings=settings(THOROUGH, max_examples=40))


@pytest.mark.parametrize("wake", ["all", "one"])
def test_the_pool_does_what_the_oracle_says_on_a_long_walk(wake: str) -> None:
    machine = ClairvoyantMachine()
    taken = walk(machine, 3, wake)
    assert min(taken[DONE], taken[SLEEP], taken[FLUSH_ALL], taken[machine.wake]) > 20


THEIRS = {
    name: MISTAKES[name]
    for name in MISTAKES
    if name not in ("the first slot is 0", "flush_if_any is ignored")
}
MORE_MISTAKES = {
    "the first slot is 1": ("    a.pool[0].cursor = -1\n", "    a.pool[0].cursor = 0\n"),
    "a flush is made for nothing": ("slots, FLUSH_ALL, False)", "slots, FLUSH_ALL, True)"),
}


@pytest.mark.parametrize("mistake", THEIRS | MORE_MISTAKES)
def test_the_oracle_catches_a_pool_in_which(mistake: str, tmp_path: Path) -> None:
    change = dict([(THEIRS | MORE_MISTAKES)[mistake]])
    is_wrong(ClairvoyantMachine, mutate_allocator(tmp_path, "broken", change, "clairvoyant"))
