"""`clairvoyant` and `always_flush` bound the flushes of certain pools, from below and above, and no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.allocators.api.actions import FLUSH_ALL
from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.registry import load_allocator
from pipeline.machine.engine.records import S_FINISHED
from tests.machine.runs import machine, mutate_allocator, rows, simulate
from tests.machine.steps import ASLEEP, HOME, Bench

Events = list[tuple[bool, int]]
"""Maps (true) and unmaps of pages, one after another."""

PAGES = 6


@st.composite
def orders(draw: st.DrawFn, most_in_force: int) -> Events:
    """Any order of maps and unmaps in which at most so many mappings are in force at once."""
    events: Events = []
    in_force: list[int] = []
    for _ in range(draw(st.integers(1, 30))):
        if in_force and (len(in_force) == most_in_force or draw(st.booleans())):
            events.append((False, in_force.pop(draw(st.integers(0, len(in_force) - 1)))))
        else:
            in_force.append(draw(st.integers(0, PAGES - 1)))
            events.append((True, in_force[-1]))
    return events


def flushes_of(allocator: str | Allocator, slots: int, events: Events) -> int:
    """Flushes that a design makes of an order: each mapping is a task of its own, alone on the machine."""
    loaded = load_allocator(allocator) if isinstance(allocator, str) else allocator
    bench = Bench(loaded, {"slots": str(slots)}, 1, sum(is_map for is_map, _ in events), PAGES)
    unborn = list(bench.tasks)
    flushes = 0
    for is_map, page in events:
        if is_map:
            task = unborn.pop(0)
            bench.begin(task, 0, page)
        else:
            task = next(t for t in bench.tasks if t.mapped and t.mapped[-1].page == page)
            bench.begin(task, 0, None)
        while task.state != HOME:
            bench.step(task, 0)
            flushes += task.action == FLUSH_ALL
    return flushes


def fewest_flushes(slots: int, events: Events) -> int:
    """The fewest flushes of all ways to choose when to flush and what to keep: every one is tried."""
    fewest = {frozenset[int](): 0}
    in_force: list[int] = []
    for is_map, page in events:
        for held, flushes in list(fewest.items()):
            unused = sorted(held - set(in_force))
            for choice in range(1 << len(unused)):
                kept = held - {p for k, p in enumerate(unused) if choice >> k & 1}
                fewest[kept] = min(fewest.get(kept, flushes + 1), flushes + 1)
        if not is_map:
            in_force.remove(page)
            continue
        in_force.append(page)
        reached: dict[frozenset[int], int] = {}
        for held, flushes in fewest.items():
            after = held | {page}
            if len(after) <= slots:
                reached[after] = min(reached.get(after, flushes), flushes)
        fewest = reached
    return min(fewest.values())


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.data(), st.integers(2, 5))
def test_no_choice_of_what_to_keep_and_when_to_flush_needs_fewer_flushes(
    data: st.DataObject, slots: int
) -> None:
    events = data.draw(orders(slots - 1))
    fewest = fewest_flushes(slots, events)
    assert flushes_of("clairvoyant", slots, events) == fewest
    assert flushes_of("deferred_flush", slots, events) == fewest
    most = flushes_of("always_flush", slots, events)
    # Each search of the kernel's pool wraps once at most, and without sleeps each is a miss.
    for allocator in ("deferred_flush", "lockless_pool", "global_pool"):
        assert fewest <= flushes_of(allocator, slots, events) <= most
    if slots % 2 == 0:
        assert fewest <= flushes_of("split_pool", slots, events) <= most


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.data(), st.integers(2, 5))
def test_a_miss_of_each_map_whose_page_is_not_in_force_is_a_flush_of_the_upper_bound(
    data: st.DataObject, slots: int
) -> None:
    events = data.draw(orders(slots - 1))
    in_force: list[int] = []
    apart = 0
    for is_map, page in events:
        apart += is_map and page not in in_force
        in_force.append(page) if is_map else in_force.remove(page)
    assert flushes_of("always_flush", slots, events) == apart


def in_turn(allocator: str, options: dict[str, str], tasks: int) -> int:
    """Flushes where each of some tasks maps a page of its own and keeps it, the last of them asleep."""
    bench = Bench(load_allocator(allocator), options, 1, tasks, tasks)
    flushes = 0
    for task in bench.tasks:
        bench.begin(task, 0, task.number)
        while task.state not in (HOME, ASLEEP):
            bench.step(task, 0)
            flushes += task.action == FLUSH_ALL
    assert task.state == ASLEEP
    return flushes


def test_a_pool_that_flushes_for_nothing_flushes_more_often_than_the_upper_bound() -> None:
    # Two slots: each of four tasks more finds the pool full, wraps, and falls asleep.
    assert in_turn("always_flush", {"slots": "2"}, 6) == 2
    assert in_turn("global_pool", {"slots": "2"}, 6) == 1 + 4
    assert in_turn("global_pool", {"slots": "2", "flush_if_any": "true"}, 6) == 0


KEEPS_ONE = {"        if slot.count == 1:": "        if slot.count == 1 and freed == 0:"}
LEAVES_THE_FIRST_SLOT_OUT = {"    a.pool[0].cursor = -1\n": "    a.pool[0].cursor = 0\n"}


@pytest.mark.parametrize("change", [KEEPS_ONE, LEAVES_THE_FIRST_SLOT_OUT])
def test_a_pool_that_frees_less_or_wraps_too_early_does_not_reach_the_bound(
    change: dict[str, str], tmp_path: Path
) -> None:
    broken = mutate_allocator(tmp_path, "broken", change, "clairvoyant")
    events = [(is_map, page) for page in [0, 1, 2, 3, 4, 5] * 2 for is_map in (True, False)]
    assert flushes_of(broken, 3, events) > fewest_flushes(3, events)


@pytest.mark.parametrize("seed", range(4))
def test_on_the_machine_one_task_flushes_least_with_the_lower_bound_and_most_with_the_upper(
    seed: int, tmp_path: Path
) -> None:
    chance = np.random.default_rng(seed)
    trace = rows(2_000, page=chance.zipf(1.3, 2_000) % 200)
    flushes = {}
    for allocator in ("clairvoyant", "deferred_flush", "global_pool", "split_pool", "always_flush"):
        outcome = simulate(allocator, machine(tmp_path, 2), trace, options={"slots": "16"})
        assert (outcome.status, outcome.problems) == (S_FINISHED, [])
        flushes[allocator] = outcome.totals["flushes"]
    assert flushes["clairvoyant"] == flushes["deferred_flush"] <= flushes["global_pool"]
    assert flushes["clairvoyant"] <= flushes["split_pool"] < flushes["always_flush"]
    # Each map is of a page that nobody has mapped.
    assert flushes["always_flush"] == len(trace)


def test_free_mapping_bounds_what_maps_cost_and_not_when_a_run_ends(tmp_path: Path) -> None:
    # Dearer maps let tasks come to the two CPUs in another order, which leaves less idling at the end.
    trace = rows(
        6, task=[0, 1, 2] * 2, page=range(6), think_ns=[500, 800, 600, 300, 100, 900],
        hold_ns=[0, 300, 800, 800, 600, 100], block_ns=[0, 600, 0, 600, 600, 300],
    )  # fmt: skip
    profile = machine(tmp_path, 2, probe_ns=10, shared_entry_ns=10)
    free, pool = (
        simulate(allocator, profile, trace, options=options)
        for allocator, options in (("direct_map", {}), ("global_pool", {"slots": "16"}))
    )
    assert free.totals["map_ns"] == 0 < pool.totals["map_ns"]
    assert free.time_in("critical") == 0 < pool.time_in("critical")
    assert free.time_in("compute") == pool.time_in("compute")
    assert pool.wall_ns < free.wall_ns
