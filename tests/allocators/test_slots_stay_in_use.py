"""No part of a pool is lost for good: whatever came before, all of it is there when nothing is mapped."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random

import pytest

from pipeline.schema.names import KINDS
from tests.allocators.sequence import random_requests
from tests.allocators.test_references import EACH, PAGES, Case, Options, fewest_slots, sequence_of
from tests.machine.steps import HOME, KERNEL, READY, Bench, Task

# Their slots are taken by depth, or the one freed last first: maps that come one by one use one of them.
NOT_IN_TURN = ("direct_map", "always_flush", "atomic", "kmap_local", "percpu_pinned")


def capacity(case: Case, options: Options, bench: Bench) -> int:
    """Slots for a task that stays on one CPU and maps nothing but directories."""
    chosen = bench.state.options[0]
    if case.allocator == "percpu_pinned":
        return int(chosen.slots_per_cpu) + (int(chosen.slots) if options.get("overflow") == "global" else 0)
    if case.allocator == "atomic":
        return int(chosen.nesting)
    if case.allocator == "kmap_local":
        return int(chosen.nesting) - 1
    # Of those with a pool to fall back on, no less than that.
    if case.allocator in ("series_pool", "percpu_cached", "per_process", "mermap", "xen_mapcache"):
        return int(chosen.slots)
    return 0 if case.allocator == "direct_map" else len(bench.state.slots)


def run(bench: Bench, task: Task, page: int | None) -> None:
    """Let the task map `page`, or undo its innermost mapping; it must not have to sleep."""
    bench.begin(task, 0, page, KINDS.index("directory"))
    while task.state in (KERNEL, READY):
        bench.step(task, 0)
    assert task.state == HOME, "there is a slot for it"


def _can_undo(bench: Bench, task: Task) -> bool:
    return task.state == HOME and bool(task.mapped) and bool(bench.cpus_for(task))


def used_pools(case: Case, options: Options) -> Iterator[Bench]:
    """A design after requests at random, with nothing mapped: but for deadlocks, which may have been."""
    for seed in range(12):
        chance = Random(seed)
        slots = fewest_slots(options) + chance.randrange(6)
        sequence = sequence_of(case, options, slots, 2, chance.randint(1, 6), 1_000)
        sequence.play(random_requests(seed, 100, PAGES, busy=1.0))
        bench = sequence.bench
        while able := [task for task in bench.tasks if _can_undo(bench, task)]:
            bench.begin(able[0], bench.cpus_for(able[0])[0], None)
            while ready := bench.runnable():
                bench.step(ready[0], (bench.cpus_for(ready[0]) or [ready[0].cpu])[0])
        if all(task.state == HOME for task in bench.tasks):
            yield bench


@EACH
def test_all_slots_can_be_mapped_at_once_whatever_came_before(case: Case, options: Options) -> None:
    for used in used_pools(case, options):
        task, fresh, slots = used.tasks[0], count(PAGES), capacity(case, options, used)
        for _ in range(slots):
            run(used, task, next(fresh))
        assert len({int(request.slot) for request in task.mapped}) == slots


@EACH
def test_maps_one_after_another_use_every_slot_in_its_turn(case: Case, options: Options) -> None:
    if case.allocator == "xen_mapcache":
        pytest.skip("what a CPU has in its hash, the others do not use")
    benches = 0
    for used in used_pools(case, options):
        benches += 1
        task, fresh, slots = used.tasks[0], count(PAGES), capacity(case, options, used)
        if case.allocator == "mermap":
            slots = options["region_pages"]
        taken = set()
        for _ in range(2 * slots):
            run(used, task, next(fresh))
            taken.add(int(task.mapped[-1].slot))
            run(used, task, None)
        assert len(taken) == (min(slots, 1) if case.allocator in NOT_IN_TURN else slots)
    assert benches > 2
