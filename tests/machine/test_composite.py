"""Several designs in one run: each behaves as if its own requests were all there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.allocators.api.composite import Composite
from pipeline.allocators.api.contract import parse_options
from pipeline.allocators.registry import load_allocator, resolve_allocator
from pipeline.errors import UsageError
from pipeline.machine.engine.records import S_DEADLOCK, S_FINISHED, TIMED
from pipeline.machine.profile import load_profile
from pipeline.schema.codes import E_FINDING, E_FLUSH, E_LOCAL_FLUSH
from pipeline.schema.names import FINDINGS, KINDS
from pipeline.studies.theory.runs import mixed_rows
from tests.machine.runs import Outcome, Rows, machine, mutate_allocator, rows, simulate

FAULT, COPY = KINDS.index("page_fault"), KINDS.index("copy_to_user")
HIGHPTE = "page_fault=atomic,default=global_pool"
ONE_OF_MANY = [
    ("global_pool", {"slots": "8"}),
    ("series_pool", {"slots": "16"}),
    ("atomic", {"refault_per_1000": "300", "slots": "16"}),
    ("percpu_pinned", {"slots_per_cpu": "4"}),
    ("kmap_local", {}),
    ("per_process", {"slots": "8"}),
    ("epoch_pool", {"slots": "16"}),
    ("sf_buf", {"slots": "16", "cpu_private": "false"}),
    ("lockless_pool", {"slots": "16"}),
    ("mermap", {"region_pages": "3", "entries": "1", "slots": "16"}),
    ("xen_mapcache", {"slots_per_cpu": "2", "slots": "16"}),
    ("deferred_flush", {"slots": "16", "spare": "4", "batch": "3"}),
    ("global_pool_invlpg", {"slots": "8"}),
]


def of_each(options: dict[str, str], allocator: str) -> dict[str, str]:
    return {f"{allocator}.{name}": value for name, value in options.items()}


def found(outcome: Outcome) -> set[str]:
    names = {list(FINDINGS)[code] for code in outcome.of_kind(E_FINDING)["value"]}
    names |= {"deadlock"} if outcome.status == S_DEADLOCK else set()
    names |= {"invariant"} if outcome.problems else set()
    return names | ({"lost_wakeup"} if outcome.lost_wakeups else set())


@pytest.mark.parametrize("text", ["default=global_pool", "page_fault=global_pool,default=global_pool"])
def test_one_design_for_all_kinds_is_that_design(text: str) -> None:
    alone = load_allocator("global_pool")
    allocator = resolve_allocator(text)
    assert (allocator.name, allocator.path, allocator.options) == (alone.name, alone.path, alone.options)


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize(("allocator", "options"), ONE_OF_MANY, ids=str)
def test_a_design_beside_one_that_is_never_asked_gives_the_same_log(
    allocator: str, options: dict[str, str], nested: bool
) -> None:
    profile, trace = load_profile("numaq16").with_cpus(4), mixed_rows(tasks=9, each=15, nested=nested)
    trace.kind[:] = FAULT
    alone = simulate(allocator, profile, trace, options=options, seed=3)
    given = of_each(options, allocator)
    first = simulate(f"copy_to_user=direct_map,default={allocator}", profile, trace, options=given, seed=3)
    assert first.fingerprint == alone.fingerprint
    assert first.totals == alone.totals
    assert first.problems == alone.problems == []
    # After a design that has one slot and one lock, so that the numbers differ.
    behind = simulate(f"page_fault={allocator},default=direct_map", profile, trace, options=given, seed=3)
    for name in ("slot", "map_lock", "unmap_lock"):
        behind.operations[name][behind.operations[name] >= 0] -= 1
    assert behind.operations.tolist() == alone.operations.tolist()
    assert behind.problems == []


def test_parts_that_never_meet_do_as_if_each_were_alone(tmp_path: Path) -> None:
    count = 400
    at = np.arange(count)
    trace = rows(
        count, time_ns=at * 1_000_000, task=at % 5, page=(at * at * 7 + at) % 31,
        kind=np.where(at % 3, COPY, FAULT), hold_ns=1_000,
    )  # fmt: skip
    profile = machine(tmp_path, 3, probe_ns=10, shared_entry_ns=50, ipi_handler_ns=100, invalidate_ns=7)
    both = simulate(HIGHPTE, profile, trace, options={"global_pool.slots": "6"}, loop=TIMED)
    assert both.status == S_FINISHED
    assert both.problems == both.lost_wakeups == []
    for allocator, kind, first, options in (
        ("global_pool", COPY, 0, {"slots": "6"}),
        ("atomic", FAULT, 6, {}),
    ):
        which = np.flatnonzero(trace.kind == kind)
        alone = simulate(allocator, profile, trace[which], options=options, loop=TIMED)
        ours = both.operations[which]
        ours["slot"] -= first
        for name in (
            "page",
            "slot",
            "served",
            "probed",
            "scanned",
            "local_flushes",
            "map_hold_ns",
            "cpu_map",
        ):
            assert ours[name].tolist() == alone.operations[name].tolist(), (allocator, name)
        flushing = both.of_kind(E_FLUSH)["op"]
        assert flushing[np.isin(flushing, which)].tolist() == which[alone.of_kind(E_FLUSH)["op"]].tolist()
    assert both.totals["flushes"] > 10
    assert both.totals["hits"] > 10


# Each task maps a page for a copy, waits off CPU, and maps a page table inside.
TWO_MAPS = rows(
    8, task=[0, 1, 2, 3] * 2, depth=[0] * 4 + [1] * 4, page=range(8), kind=[COPY] * 4 + [FAULT] * 4,
    wait_ns=[0] * 4 + [9] * 4, time_ns=[0] * 4 + [9] * 4,
)  # fmt: skip


def test_page_tables_inside_of_copies_take_no_slot_of_theirs(tmp_path: Path) -> None:
    profile, slots = machine(tmp_path, 2), {"global_pool.slots": "4"}
    assert simulate("global_pool", profile, TWO_MAPS, options={"slots": "4"}).status == S_DEADLOCK
    outcome = simulate(HIGHPTE, profile, TWO_MAPS, options=slots)
    assert (outcome.status, found(outcome)) == (S_FINISHED, set())
    tables = outcome.operations[4:]
    # Outermost among its own: the first slot of its CPU. A CPU's 16 follow the pools of both.
    assert tables["slot"].tolist() == [4 + 1024 + 16 * cpu for cpu in tables["cpu_map"]]
    assert tables["depth"].tolist() == [1] * 4


def test_a_copy_that_is_atomic_may_not_wait_inside_for_the_other_design(tmp_path: Path) -> None:
    # A CPU for each task: nobody overwrites the map of one that is away.
    outcome = simulate("copy_to_user=atomic,default=global_pool", machine(tmp_path, 4), TWO_MAPS)
    assert found(outcome) == {"sleep_while_atomic"}


def test_a_page_that_both_map_has_a_slot_of_each(tmp_path: Path) -> None:
    trace = rows(4, page=5, kind=[COPY, FAULT, COPY, FAULT])
    outcome = simulate("page_fault=clairvoyant,default=global_pool", machine(tmp_path, 1), trace)
    assert outcome.operations["slot"].tolist() == [1, 1024, 1, 1024]
    assert outcome.totals["hits"] == 2


CROWD = rows(
    240, task=np.arange(240) % 12, page=(np.arange(240) % 12 * 7 + np.arange(240) // 12) % 9, kind=FAULT,
    block_ns=500,
)  # fmt: skip
FEW = rows(12, task=range(12), page=range(12), kind=FAULT, block_ns=50_000)


@pytest.mark.parametrize(
    ("hazard", "old", "new"),
    [
        ("stale_translation", "if freed > 0 or always:", "if False:"),
        ("count_underflow", "    slot.count -= 1\n", "    slot.count -= 2\n"),
        ("lost_wakeup", "WAKE if slot.count == 1 and a.queues[s].sleepers > 0 else END", "END"),
        ("invariant", "a.slots[cached].count += 1", "a.slots[cached].count += 2"),
    ],
)
@pytest.mark.parametrize(
    "mapping", ["page_fault={},default=series_pool", "default={},copy_to_user=series_pool"]
)
def test_what_is_wrong_with_one_of_them_is_found(
    mapping: str, hazard: str, old: str, new: str, tmp_path: Path
) -> None:
    broken = mutate_allocator(tmp_path, "broken", {old: new}, "global_pool")
    outcome = simulate(
        mapping.format(broken.path), machine(tmp_path, 3, probe_ns=10, ipi_handler_ns=100),
        FEW if hazard == "lost_wakeup" else CROWD, options={"broken.slots": "4"},
    )  # fmt: skip
    assert hazard in found(outcome)
    assert all(text.startswith("broken: ") for text in outcome.problems + outcome.lost_wakeups)


def test_sound_designs_are_blamed_for_nothing(tmp_path: Path) -> None:
    trace = rows(240, **{name: getattr(CROWD, name) for name in ("task", "page", "block_ns")})
    trace.kind = np.arange(240) // 12 % 2 * (COPY - FAULT) + FAULT
    options = {"global_pool.slots": "4", "always_flush.slots": "3"}
    mapping = "page_fault=always_flush,default=global_pool"
    outcome = simulate(mapping, machine(tmp_path, 3, probe_ns=10, ipi_handler_ns=100), trace, options=options)
    assert (outcome.status, found(outcome)) == (S_FINISHED, set())
    assert outcome.totals["sleeps"] > 0


def test_designs_are_named_in_any_order() -> None:
    allocators = [resolve_allocator(text) for text in (HIGHPTE, "default=global_pool,page_fault=atomic")]
    assert all(isinstance(allocator, Composite) for allocator in allocators)
    assert allocators[0].name == allocators[1].name == "global_pool+atomic"
    assert allocators[0].summary == allocators[1].summary == "atomic for page_fault, global_pool for the rest"


def test_an_option_may_be_given_without_its_design_where_one_alone_has_it() -> None:
    allocator = resolve_allocator(HIGHPTE)
    values = parse_options(allocator.options, {"nesting": "3", "global_pool.slots": "64"}, allocator.name)
    assert (values["atomic.nesting"], values["global_pool.slots"], values["atomic.slots"]) == (3, 64, 1024)
    for given, said in {
        "slots": "several allocators have an option slots; give one of global_pool.slots or atomic.slots",
        "sf_buf.slots": "this run has no allocator 'sf_buf'; it has global_pool, atomic",
        "atomic.slot": "unknown option of global_pool\\+atomic 'atomic.slot' [(]did you mean 'atomic.slots'",
    }.items():
        with pytest.raises(UsageError, match=said):
            parse_options(allocator.options, {given: "4"}, allocator.name)


OWN_TABLES = "page_fault=per_process,default=global_pool"
SMALL = {"global_pool.slots": "4", "per_process.slots": "4"}


@pytest.mark.parametrize(("processes", "walks"), [([0, 1], 1 + 20), ([0, 0], 1 + 2)], ids=str)
def test_a_switch_of_address_space_takes_the_entries_of_designs_that_are_not_global(
    processes: list[int], walks: int, tmp_path: Path
) -> None:
    # Two tasks in turns on one CPU: each maps the same page by the pool, and its own in its process's tables.
    turn = np.arange(40) // 2
    trace = rows(
        40, task=turn % 2, time_ns=turn, kind=[COPY, FAULT] * 20,
        page=np.where(np.arange(40) % 2, turn % 2, 5), wait_ns=[500, 0] * 20,
    )  # fmt: skip
    outcome = simulate(OWN_TABLES, machine(tmp_path, 1), trace, process_of=processes, options=SMALL)
    assert outcome.totals["walks"] == walks
    assert found(outcome) == set()


def walked(outcome: Outcome, trace: Rows, processes: list[int], pool: int) -> tuple[int, bool]:
    """Walks on one CPU, and whether one came too late, told from the log; the first `pool` slots are global.

    Nobody leaves the CPU while he has something mapped, so that the entries go when the next begins.
    """
    ends = [
        e["time_ns"] + e["duration_ns"] for kind in (E_FLUSH, E_LOCAL_FLUSH) for e in outcome.of_kind(kind)
    ]
    tlb: dict[int, int] = {}
    space, walks, stale, before_ns = -1, 0, False, -1
    for op in np.sort(outcome.operations, order="mapped_ns"):
        process = processes[trace.task[op["op"]]]
        if any(before_ns < end <= op["mapped_ns"] for end in ends):
            tlb = {}
        if process != space:
            tlb = {slot: page for slot, page in tlb.items() if slot < pool}
        space, before_ns = process, op["mapped_ns"]
        loaded = tlb.get(op["slot"])
        walks += loaded != op["page"]
        stale |= loaded not in (None, op["page"])
        tlb[op["slot"]] = op["page"]
    return walks, stale


NO_FLUSH = {"if freed > 0 or always:": "if False:"}
NO_LOCAL_FLUSH = {"        if mask != 0:\n": "        if False:\n"}


@pytest.mark.parametrize("processes", [[0, 1, 2, 3], [0, 0, 1, 1], [0, 0, 0, 0]], ids=str)
@pytest.mark.parametrize("broken", ["neither", "global_pool", "per_process"])
def test_entries_of_both_sorts_are_stale_when_they_must_be(
    broken: str, processes: list[int], tmp_path: Path
) -> None:
    names = {"global_pool": "global_pool", "per_process": "per_process"}
    if broken != "neither":
        change = NO_FLUSH if broken == "global_pool" else NO_LOCAL_FLUSH
        names[broken] = str(mutate_allocator(tmp_path, "broken", change, broken).path)
    options = {f"{name if name != broken else 'broken'}.slots": "4" for name in names}
    at = np.arange(300)
    trace = rows(
        300,
        time_ns=at,
        task=at * at // 7 % 4,
        page=at * 13 % 11,
        kind=np.where(at % 3, COPY, FAULT),
        wait_ns=90,
    )
    text = f"page_fault={names['per_process']},default={names['global_pool']}"
    prices = {"shared_entry_ns": 3, "tlb_flush_ns": 7}
    outcome = simulate(
        text, machine(tmp_path, 1, **prices), trace, options=options, process_of=processes
    )  # fmt: skip
    walks, stale = walked(outcome, trace, processes, 4)
    assert outcome.totals["walks"] == walks
    assert ("stale_translation" in found(outcome)) == stale
    # A pool that forgets its flush is found however often the CPU changes its address space.
    assert stale == (broken == "global_pool" or (broken == "per_process" and processes[0] == processes[1]))


@pytest.mark.parametrize(
    ("mapping", "alone"),
    [
        ("copy_to_user=global_pool,default=per_process", "per_process"),
        ("copy_to_user=per_process,default=global_pool", "global_pool"),
    ],
)
def test_global_ptes_beside_others_that_are_never_asked_for_give_the_same_log(
    mapping: str, alone: str
) -> None:
    profile, trace = load_profile("numaq16").with_cpus(4), mixed_rows(tasks=9, each=15, nested=True)
    trace.kind[:] = FAULT
    options = {"slots": "16"}
    both = simulate(mapping, profile, trace, options=of_each(options, alone), seed=3)
    assert both.fingerprint == simulate(alone, profile, trace, options=options, seed=3).fingerprint
