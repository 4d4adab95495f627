from pathlib import Path

import pytest
from hypothesis.stateful import run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, SLEEP
from pipeline.allocators.registry import load_allocator
from tests.machine.cached_pools import MISTAKES, CachedPoolMachine, is_wrong, walk
from tests.machine.oracle import THOROUGH
from tests.machine.runs import mutate_allocator


class GlobalPoolMachine(CachedPoolMachine):
    allocator = load_allocator("global_pool")


def test_the_pool_does_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(GlobalPoolMachine, settings=THOROUGH)


@pytest.mark.parametrize("wake", ["all", "one"])
@pytest.mark.parametrize("slots", [2, 3, 5, 8])
def test_the_pool_does_what_the_oracle_says_on_a_long_walk(slots: int, wake: str) -> None:
    machine = GlobalPoolMachine()
    taken = walk(machine, slots, wake)
    assert min(taken[DONE], taken[SLEEP], taken[FLUSH_ALL], taken[machine.wake]) > 20


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_catches_a_pool_in_which(mistake: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[mistake]]), "global_pool")
    is_wrong(GlobalPoolMachine, broken)
