"""Mappings of several pages, mapped by one row and unmapped by another; and workers of designs."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from pipeline.allocators.api import traits
from pipeline.allocators.registry import load_allocator, resolve_allocator, shipped_allocators
from pipeline.errors import UsageError
from pipeline.machine.engine.records import CLOSED, FIRST_MAPPINGS, S_DEADLOCK, S_FINISHED, TIMED
from pipeline.machine.in_memory import free_machine
from pipeline.machine.profile import load_profile
from pipeline.runs.plan import RunConfig, make_plan
from pipeline.schema import codes
from pipeline.schema.codes import E_FINDING, E_RELOCK, E_WORK, PART_MAP, PART_UNMAP, PART_WHOLE
from pipeline.schema.names import FINDINGS, SITES
from tests.machine.runs import Outcome, Rows, mutate_allocator, rows, simulate
from tests.trace.small import PARTS, PROVENANCE, as_arrays, write_parts, writer

DESIGNS = ("vmap_global", "vmap_lazy", "vmap_block", "vmap_nodes")
LAZY = {name: {"lazy_pages": "40"} for name in DESIGNS[1:]} | {"vmap_global": {}}
WORKER = {"drain": "worker"}


def area_rows(seed: int, number: int, tasks: int = 5, most: int = 60, stride: int = 1) -> Rows:
    """Maps, unmaps by any task and whole operations; mapping numbers are multiples of `stride`."""
    chance = Random(seed)
    made: list[tuple[int, int, int]] = []
    listed = []
    page = mapping = time_ns = 0
    for _ in range(number):
        time_ns += chance.randrange(2_000)
        task, pages = chance.randrange(tasks), chance.choice([1, 2, 4, 5, 9])
        if made and (chance.random() < 0.45 or len(made) >= most):
            unmapped = made.pop(chance.randrange(len(made)))
            listed.append((time_ns, task, *unmapped, PART_UNMAP))
        elif chance.random() < 0.8:
            made.append((page, pages, mapping * stride))
            listed.append((time_ns, task, *made[-1], PART_MAP))
            mapping += 1
        else:
            listed.append((time_ns, task, page, pages, -1, PART_WHOLE))
        page += pages
    columns = zip(("time_ns", "task", "page", "pages", "mapping", "part"), np.array(listed).T, strict=True)
    trace = rows(number, **dict(columns))
    trace.think_ns = [chance.randrange(1_500) for _ in range(number)]
    trace.hold_ns = np.where(trace.part == PART_UNMAP, 0, 200)
    return trace


def replay(design: str, trace: Rows, cpus: int = 4, **how: Any) -> Outcome:
    options = {"space_pages": "4096"} | LAZY[design] | how.pop("options", {})
    return simulate(design, load_profile("modern-x86-64").with_cpus(cpus), trace, options=options, **how)


def check_log(trace: Rows, out: Outcome) -> None:
    """Hold the log of a run that has ended against the rows."""
    assert (out.status, out.problems, out.lost_wakeups) == (S_FINISHED, [], [])
    assert len(out.of_kind(E_FINDING)) == 0
    ops = out.operations
    made = np.flatnonzero(trace.part != PART_UNMAP)
    assert ops["op"].tolist() == made.tolist()
    assert ops["task"].tolist() == trace.task[made].tolist()
    assert ops["pages"].tolist() == trace.pages[made].tolist()
    unmapper = {int(row.mapping): int(row.task) for row in trace if row.part == PART_UNMAP}
    for row, op in zip(trace[made], ops, strict=True):
        wanted = int(row.task) if row.part == PART_WHOLE else unmapper.get(int(row.mapping), -1)
        assert op["unmap_task"] == wanted
        assert op["asked_ns"] <= op["mapped_ns"]
        if wanted < 0:
            assert op["unmap_asked_ns"] == op["done_ns"] == -1
        else:
            assert op["mapped_ns"] + row.hold_ns <= op["unmap_asked_ns"] <= op["done_ns"]


@pytest.mark.parametrize("loop", [CLOSED, TIMED], ids=["closed", "timed"])
@pytest.mark.parametrize("design", DESIGNS)
def test_every_mapping_is_unmapped_once_by_the_task_of_its_row(design: str, loop: int) -> None:
    for seed in range(3):
        trace = area_rows(seed, 250)
        check_log(trace, replay(design, trace, 1 + seed, loop=loop, jitter_percent=20.0 * seed))


@pytest.mark.parametrize("stride", [1, 7 * FIRST_MAPPINGS // 4])
def test_many_mappings_remain_at_once_whatever_their_numbers(stride: int) -> None:
    # More than half of the first table remain, so that it grows; many numbers have the same home in it, and
    # entries are removed from the middle of the others.
    trace = area_rows(3, 1_700, most=FIRST_MAPPINGS, stride=stride)
    trace = trace[np.argsort(trace.part == PART_UNMAP, kind="stable")].view(np.recarray)
    trace.time_ns = np.arange(len(trace)) * 100
    out = replay("vmap_global", trace, options={"space_pages": "32768"}, log_rows=64)
    assert out.totals["max_mapped"] > FIRST_MAPPINGS // 2
    check_log(trace, out)


def test_results_depend_neither_on_chunks_nor_on_the_room_in_the_log() -> None:
    trace = area_rows(1, 120)
    wanted = replay("vmap_nodes", trace)
    for how in ({"chunk_rows": 7}, {"log_rows": 16}, {"chunk_rows": 64, "budget_events": 1}):
        assert replay("vmap_nodes", trace, **how).fingerprint == wanted.fingerprint


def test_compiled_and_plain_code_agree() -> None:
    trace = area_rows(2, 600)
    plain, compiled = (replay("vmap_nodes", trace, compiled=compiled) for compiled in (False, True))
    assert plain.totals == compiled.totals
    assert plain.operations.tolist() == compiled.operations.tolist()
    assert plain.events.tolist() == compiled.events.tolist()


def pair(**given: Any) -> Rows:
    """A map of five pages by task 0 and its unmap by task 1."""
    common: dict[str, Any] = {"task": [0, 1], "pages": 5, "part": [PART_MAP, PART_UNMAP], "mapping": 3}
    return rows(2, **common | given)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_task_that_unmaps_too_early_waits_off_its_cpu(design: str) -> None:
    # Task 1 is due at 0, and task 0 maps at 10,000; task 2 gets the CPU of task 1 meanwhile.
    trace = rows(
        3, task=[0, 1, 2], pages=5, page=[0, 0, 9], part=[PART_MAP, PART_UNMAP, PART_WHOLE],
        mapping=[3, 3, -1], think_ns=[10_000, 0, 3_000], time_ns=[10_000, 10_000, 10_000],
    )  # fmt: skip
    trace.time_ns[1:] = 0, 3_000
    out = simulate(design, free_machine(2), trace)
    assert out.status == S_FINISHED
    assert out.operations["unmap_asked_ns"].tolist() == [10_000, 3_000]
    assert out.operations["unmap_task"].tolist() == [1, 2]
    # Nobody spins: the CPUs only computed.
    assert out.time_in("compute") == 13_000
    assert out.time_in("spin") == 0


def test_tasks_that_wait_for_each_others_mappings_are_a_deadlock() -> None:
    parts = [PART_UNMAP, PART_UNMAP, PART_MAP, PART_MAP]
    trace = rows(4, task=[0, 1, 1, 0], page=[0, 1, 0, 1], pages=1, part=parts, mapping=[0, 1, 0, 1])
    out = simulate("vmap_lazy", free_machine(2), trace)
    assert (out.status, len(out.operations)) == (S_DEADLOCK, 0)


@pytest.mark.parametrize("design", DESIGNS)
def test_an_area_longer_than_the_address_space_is_a_deadlock(design: str) -> None:
    trace = rows(1, pages=50, mapping=-1)
    out = simulate(design, free_machine(2), trace, options={"space_pages": "16"})
    assert (out.status, out.problems, out.lost_wakeups) == (S_DEADLOCK, [], [])


def test_each_page_of_an_area_is_walked_and_each_pte_written() -> None:
    machine = free_machine(2, walk_ns=100, pte_write_ns=7)
    out = simulate("vmap_lazy", machine, pair(hold_ns=[11, 0], think_ns=[0, 50_000]))
    assert out.totals["walks"] == 5
    assert out.time_in("in_use") == 5 * 100 + 11
    assert out.time_in("critical") == 2 * 5 * 7


def test_a_flush_is_of_the_task_that_unmaps() -> None:
    trace = rows(2, task=[0, 1], time_ns=[0, 10_000], pages=4, part=[PART_MAP, PART_UNMAP])
    outcome = replay("vmap_global", trace, loop=TIMED)
    (flush,) = outcome.of_kind(codes.E_FLUSH)
    assert (flush["op"], flush["task"]) == (0, 1)
    assert outcome.operations["unmap_task"].tolist() == [1]


def test_an_area_that_is_returned_before_its_flush_is_found(tmp_path: Path) -> None:
    changes = {"        return FLUSH_ALL if r.mark > 0 else STEP\n": "        return STEP\n"}
    trace = area_rows(0, 300)
    broken = mutate_allocator(tmp_path, "broken", changes, "vmap_lazy")
    out = simulate(broken, free_machine(3), trace, options={"lazy_pages": "20", "space_pages": "256"})
    assert set(out.of_kind(E_FINDING)["value"]) == {list(FINDINGS).index("stale_translation")}


@pytest.mark.parametrize("cpus", [1, 3])
def test_a_worker_purges_at_its_own_time(cpus: int) -> None:
    trace = area_rows(4, 400)
    out = replay("vmap_lazy", trace, cpus, options=WORKER)
    check_log(trace, out)
    works = out.of_kind(E_WORK)
    assert len(works) == out.totals["flushes"] > 3
    assert set(works["task"]) == {int(trace.task.max()) + 1}
    assert set(works["op"]) == {-1}
    flushes = out.of_kind(codes.E_FLUSH)
    begins, ends = works["time_ns"], works["time_ns"] + works["duration_ns"]
    assert (begins <= flushes["time_ns"]).all()
    assert (flushes["time_ns"] + flushes["duration_ns"] <= ends).all()
    assert (works["value"] >= 0).all()
    # It takes the lock of the tree once for each purge: a relock of its site.
    relocks = out.of_kind(E_RELOCK)
    own = relocks[relocks["site"] == SITES.index("worker")]
    assert len(own) == len(works) == out.sites[SITES.index("worker")]["acquisitions"]
    assert set(own["op"]) == {-1}


_WAKING = """
from pipeline.allocators.api.actions import DONE, STEP, WAKE_WORKER
from pipeline.allocators.api.effects import probe

SUMMARY = "wakes its worker at each map and unmap"


def slots(options, shape):
    return 1


def workers(options, shape):
    return 1


def map_step(a, r, d):
    r.step += 1
    return WAKE_WORKER if r.step == 1 else DONE


def unmap_step(a, r, d):
    return map_step(a, r, d)


def work_step(a, r, d):
    r.step += 1
    probe(d, 1)
    return STEP if r.step < 3 else DONE
"""


def test_a_worker_that_is_woken_while_it_runs_runs_again(tmp_path: Path) -> None:
    path = tmp_path / "waking.py"
    path.write_text(_WAKING)
    trace = rows(1, think_ns=100, hold_ns=40, mapping=-1)
    # Each of its three steps takes 30 ns: it is woken at 100, and at 140 by the unmap.
    out = simulate(load_allocator(str(path)), free_machine(2, probe_ns=30), trace)
    works = out.of_kind(E_WORK)
    assert works["time_ns"].tolist() == [100, 190]
    assert works["duration_ns"].tolist() == [90, 90]
    assert out.wall_ns == 280
    # On one CPU it is woken twice before it can begin: it runs once.
    alone = simulate(load_allocator(str(path)), free_machine(1, probe_ns=30), trace).of_kind(E_WORK)
    assert alone["time_ns"].tolist() == [140]
    assert alone["value"].tolist() == [40]


@pytest.mark.parametrize(
    ("part", "what"), [("whole", "mappings of up to 4 pages"), ("map", "mappings that other rows unmap")]
)
def test_a_design_for_single_pages_refuses_areas(part: str, what: str, tmp_path: Path) -> None:
    trace = tmp_path / "areas.parquet"
    if part == "map":
        write_parts(trace)
    else:
        columns = {name: values for name, values in PARTS.items() if name not in ("part", "mapping")}
        with writer(trace, columns=PROVENANCE | {"pages": "synthetic"}) as out:
            out.write(as_arrays(columns | {"hold_ns": [1] * len(PARTS["pages"])}))
    for design in ("direct_map", "page_fault=global_pool,default=atomic"):
        config = RunConfig(trace=trace, machine="smp4-2002", allocator=design)
        with pytest.raises(UsageError, match=f"{what}; use vmap_block, vmap_global"):
            make_plan(config)


def test_nothing_for_areas_is_compiled_into_other_designs() -> None:
    for design in sorted(set(shipped_allocators()) - set(DESIGNS)):
        module = load_allocator(design).module
        assert not {"AREAS", "work_step", "workers"} & set(vars(module)), design
    assert (traits.AREAS, traits.WORKERS) == (False, False)


def test_a_design_for_areas_shares_a_run_with_no_other() -> None:
    with pytest.raises(UsageError, match="vmap_lazy maps areas and cannot share a run"):
        resolve_allocator("page_fault=vmap_lazy,default=global_pool")
