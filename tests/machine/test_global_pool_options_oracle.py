"""The options of `global_pool` that make more of it than one pool: page colours, and slots set aside."""

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, SLEEP, UNLOCK, WAKE_ALL
from pipeline.allocators.registry import load_allocator
from tests.machine.cached_pools import CachedPoolMachine, is_wrong, walk
from tests.machine.oracle import MOST_NESTED, THOROUGH, CachedPools
from tests.machine.runs import mutate_allocator
from tests.machine.steps import Request, Task


class ColouredPoolMachine(CachedPoolMachine):
    """With three colours: a pool of its own for each, all of which a wrap passes over."""

    allocator = load_allocator("global_pool")
    colours = 3

    def pools(self, slots: int, flush_if_any: bool) -> CachedPools:
        return CachedPools(slots, flush_if_any, self.colours, pass_over_all=True)

    def more_options(self) -> dict[str, str]:
        return {"colours": str(self.colours), "slots": str(self.colours * self.oracle.slots + 2)}

    def pool_of(self, r: Request) -> int:
        return r.page % self.colours

    def place(self, slot: int) -> tuple[int, int]:
        return slot % self.colours, slot // self.colours


class ReservingPoolMachine(CachedPoolMachine):
    """A task that maps is granted as many slots as it may have at once: nobody else ever waits."""

    allocator = load_allocator("global_pool")

    @initialize(
        slots=st.integers(MOST_NESTED, 8),
        flush_if_any=st.booleans(),
        wake=st.sampled_from(["all", "one"]),
        cpus=st.integers(1, 3),
        tasks=st.integers(1, 6),
        nested=st.integers(1, MOST_NESTED),
    )
    def start(self, slots: int, flush_if_any: bool, wake: str, cpus: int, tasks: int, nested: int) -> None:
        self.granted: set[int] = set()
        self.waiting: list[int] = []
        self.reserve = nested
        super().start(slots, flush_if_any, wake, cpus, tasks, nested)

    def more_options(self) -> dict[str, str]:
        return {"reserve": str(self.reserve)}

    def answered(self, task: Task) -> None:
        r, number = task.request, task.number
        if not r.unmapping and number not in self.granted and task.action in (UNLOCK, SLEEP):
            left = self.oracle.slots - self.reserve * len(self.granted)
            assert (task.action == SLEEP) == (left < self.reserve)
            if task.action == SLEEP:
                assert task.argument == 1
                self.waiting.append(number)
                return
            self.granted.add(number)
        assert task.action != SLEEP, "waits while it holds a map, or after its slots were set aside"
        if r.unmapping and task.action == UNLOCK and r.depth == 0:
            self.granted.remove(number)
        if task.action == WAKE_ALL and task.argument == 1:
            assert r.unmapping and r.depth == 0 and self.waiting
        else:
            super().answered(task)

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        if action == WAKE_ALL:
            assert [waiter.number for waiter in woken] == self.waiting
            self.waiting.clear()

    def compare(self) -> None:
        assert int(self.bench.state.pool[0].reserved) == self.reserve * len(self.granted)
        self.oracle.sleepers[1:] = [self.waiting]
        super().compare()

    def quiet(self) -> None:
        del self.oracle.sleepers[1:]
        super().quiet()
        assert not self.waiting or self.oracle.slots - self.reserve * len(self.granted) < self.reserve


OPTIONS = pytest.mark.parametrize("machine", [ColouredPoolMachine, ReservingPoolMachine])


@OPTIONS
def test_options_do_what_the_oracle_says_in_every_interleaving(machine: type[CachedPoolMachine]) -> None:
    run_state_machine_as_test(machine, settings=settings(THOROUGH, max_examples=40))


@OPTIONS
def test_options_do_what_the_oracle_says_on_a_long_walk(machine: type[CachedPoolMachine]) -> None:
    taken = walk(machine(), 3, "all")
    assert min(taken[DONE], taken[SLEEP], taken[FLUSH_ALL], taken[WAKE_ALL]) > 5


COLOUR_MISTAKES = {
    "all colours have one cursor": (
        "    pool = a.pool[s]\n",
        "    pool = a.pool[0]\n",
    ),
    "a wrap passes over its own colour only": (
        "colours, 0, colours * size, FLUSH_ALL",
        "colours, 0, size, FLUSH_ALL",
    ),
    "who waits sleeps in the queue of another colour": (
        "            d.queue = s\n            return SLEEP",
        "            return SLEEP",
    ),
}


@pytest.mark.parametrize("mistake", COLOUR_MISTAKES)
def test_the_oracle_catches_colours_with_which(mistake: str, tmp_path: Path) -> None:
    change = dict([COLOUR_MISTAKES[mistake]])
    is_wrong(ColouredPoolMachine, mutate_allocator(tmp_path, "broken", change, "global_pool"))


RESERVE_MISTAKES = {
    "they are not given back": (
        "        a.pool[0].reserved -= min(a.options[0].reserve, colours * size)\n",
        "        pass\n",
    ),
    "more are set aside than there are": (
        "    if a.pool[0].reserved + wanted > slots:",
        "    if a.pool[0].reserved > slots:",
    ),
    "nobody learns that there are some": (
        "action == DONE and r.mark == 1 and",
        "action == DONE and r.mark == 7 and",
    ),
}


@pytest.mark.parametrize("mistake", RESERVE_MISTAKES)
def test_the_oracle_catches_slots_set_aside_where(mistake: str, tmp_path: Path) -> None:
    change = dict([RESERVE_MISTAKES[mistake]])
    is_wrong(ReservingPoolMachine, mutate_allocator(tmp_path, "broken", change, "global_pool"))
