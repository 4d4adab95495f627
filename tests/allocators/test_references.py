"""Every design does, request by request, what its reference says: a second telling that shares no code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.registry import load_allocator, shipped_allocators
from tests.allocators.answer import Reference
from tests.allocators.references import areas, kernel_pools, other_pools, private_slots, relatives
from tests.allocators.sequence import MAP, UNMAP, Request, Sequence, random_requests
from tests.machine.runs import mutate_allocator

Options = dict[str, Any]

PAGES = 12


@dataclass(frozen=True)
class Case:
    """A design, its reference, and the options that both are given."""

    allocator: str
    reference: Callable[..., Reference]
    choices: tuple[Options, ...]
    """Options beside the number of slots, which `size` names."""
    size: str = "slots"
    fixed: Options | None = None
    """What only the reference is told."""


_WAKE: tuple[Options, ...] = ({}, {"wake": "one"})
_FLUSH: tuple[Options, ...] = (*_WAKE, {"flush_if_any": True})
CASES = (
    Case("direct_map", other_pools.DirectMap, ({},), ""),
    Case("always_flush", other_pools.AlwaysFlush, ({},)),
    Case("clairvoyant", kernel_pools.ClairvoyantPool, _WAKE),
    Case("global_pool", kernel_pools.KernelPool, (*_FLUSH, {"colours": 2}, {"colours": 3, "wake": "one"})),
    Case("global_pool_invlpg", kernel_pools.InvlpgPool, _FLUSH),
    Case(
        "series_pool",
        kernel_pools.SeriesPool,
        (*_FLUSH, {"scan": "own"}, {"series": 1}, {"series": 3}, {"series": 4, "scan": "own"}),
    ),
    Case("deferred_flush", kernel_pools.PartedPool, ({}, {"batch": 3}, {"spare": 2}), fixed={"parts": 1}),
    Case("split_pool", kernel_pools.PartedPool, ({"batch": 0}, {"batch": 2}), fixed={"parts": 2}),
    Case("lockless_pool", kernel_pools.LocklessPool, (*_WAKE, {"tlb_batch": 1}, {"tlb_batch": 2})),
    Case("epoch_pool", other_pools.EpochPool, _WAKE),
    Case(
        "sf_buf",
        other_pools.SfBuf,
        ({}, {"wake": "all"}, {"cpu_private": False}, {"cpu_private": False, "wake": "all"}),
    ),
    Case(
        "per_process",
        private_slots.PerProcess,
        (*_WAKE, {"cache": False}, {"semaphore": True}, {"cache": False, "semaphore": True}),
    ),
    Case("percpu_cached", private_slots.PerCpuCached, _WAKE),
    Case("percpu_pinned", private_slots.PerCpuPinned, ({}, {"wait_pinned": False}), "slots_per_cpu"),
    Case("percpu_pinned", private_slots.PerCpuPinned, ({"overflow": "global", "slots_per_cpu": 1},)),
    Case(
        "atomic",
        private_slots.Atomic,
        ({}, {"invalidate_at_unmap": True}, {"refault_per_1000": 1000, "slots": 30}),
    ),
    Case(
        "mermap",
        relatives.Mermap,
        (
            {"region_pages": 1, "entries": 1},
            {"region_pages": 3, "entries": 2},
            {"region_pages": 7, "entries": 4},
            {"region_pages": 2, "entries": 1, "fall_back": "reserve", "slots": 30},
        ),
    ),
    Case("xen_mapcache", relatives.XenMapcache, ({"slots_per_cpu": 1}, {"slots_per_cpu": 4})),
    Case("kmap_local", private_slots.KmapLocal, ({}, {"invalidate_at": "map"}, {"nesting": 5}), ""),
)
# Of mappings of several pages that any task may undo: see test_areas.
AREA_CASES = (
    Case("vmap_global", areas.VmapGlobal, ({}, {"guard_pages": 0}, {"guard_pages": 3}), "space_pages"),
    Case(
        "vmap_lazy",
        areas.VmapLazy,
        (
            {"lazy_pages": 1},
            {"lazy_pages": 12, "guard_pages": 0},
            {"lazy_pages": 1, "drain": "worker"},
            {"lazy_pages": 12, "drain": "worker"},
        ),
        "space_pages",
    ),
    Case(
        "vmap_block",
        areas.VmapBlocks,
        (
            {"block_pages": 4, "lazy_pages": 1},
            {"block_pages": 8, "lazy_pages": 16, "guard_pages": 0},
            {"block_pages": 8, "lazy_pages": 1, "drain": "worker"},
            {"block_pages": 16, "lazy_pages": 20, "drain": "worker"},
        ),
        "space_pages",
    ),
    Case(
        "vmap_nodes",
        areas.VmapNodes,
        (
            {"lazy_pages": 1},
            {"lazy_pages": 12, "nodes": 1},
            {"lazy_pages": 20, "nodes": 2, "guard_pages": 0},
            {"lazy_pages": 6, "nodes": 3},
        ),
        "space_pages",
    ),
)


def each_of(cases: tuple[Case, ...]) -> pytest.MarkDecorator:
    every = [(case, options) for case in cases for options in case.choices]
    names = [
        "-".join([case.allocator, *(f"{name}={value}" for name, value in options.items())])
        for case, options in every
    ]
    return pytest.mark.parametrize(("case", "options"), every, ids=names)


EVERY = [(case, options) for case in CASES for options in case.choices]
EACH = each_of(CASES)


def sequence_of(
    case: Case, options: Options, slots: int, cpus: int, tasks: int, pages: int,
    allocator: Allocator | None = None,
) -> Sequence:  # fmt: skip
    """The design, or `allocator` in its place, beside its reference; two tasks of each process."""
    processes = (tasks + 1) // 2
    given = ({case.size: slots} if case.size else {}) | options
    told = given | (case.fixed or {})
    if case.allocator == "per_process":
        told["processes"] = processes
    written = {name: str(value).lower() for name, value in given.items()}
    reference = case.reference(cpus, tasks, **told)
    return Sequence(allocator or load_allocator(case.allocator), written, reference, tasks, pages, processes)


def fewest_slots(options: Options) -> int:
    return 2 * options.get("colours", 1)


def test_every_design_has_a_reference() -> None:
    told = {case.allocator for case in (*CASES, *AREA_CASES)}
    assert told <= set(shipped_allocators())
    if new := sorted(set(shipped_allocators()) - told):
        pytest.skip(f"CASES has no reference of {', '.join(new)}; add one")


def play_some(case: Case, options: Options, allocator: Allocator | None = None) -> None:
    """Short sequences on machines and pools of several sizes."""
    for seed in range(16):
        chance = Random(seed)
        slots = fewest_slots(options) + chance.randrange(6)
        cpus, tasks = chance.randint(1, 4), chance.randint(1, 6)
        sequence = sequence_of(case, options, slots, cpus, tasks, PAGES, allocator)
        try:
            sequence.play(random_requests(seed, 60, PAGES, busy=1.0))
        except AssertionError as wrong:
            raise AssertionError(f"seed {seed}: {slots} slots, {cpus} CPUs, {tasks} tasks") from wrong


@EACH
def test_a_design_answers_as_its_reference(case: Case, options: Options) -> None:
    play_some(case, options)


@EACH
@pytest.mark.parametrize(("slots", "busy"), [(4, 1.1), (48, 1.0)])
def test_a_design_answers_as_its_reference_for_long(
    case: Case, options: Options, slots: int, busy: float
) -> None:
    slots = max(slots, fewest_slots(options))
    sequence = sequence_of(case, options, slots, cpus=4, tasks=9, pages=3 * slots)
    sequence.play(random_requests(slots, 600, 3 * slots, busy))
    # Deadlock, which nested maps can bring about, ends a walk early.
    assert len(sequence.log) > 40


@pytest.mark.parametrize(
    ("slots", "batch", "pages", "flushes", "hits"),
    [(4, 2, [0, 1, 2, 3, 4, 5], 1, 0), (48, 32, [*range(48), 48, 1, 2, 34], 1, 1)],
)
def test_the_slots_that_a_flush_makes_clean_lie_ahead_of_the_hand(
    slots: int, batch: int, pages: list[int], flushes: int, hits: int
) -> None:
    case = next(case for case in CASES if case.allocator == "lockless_pool")
    sequence = sequence_of(case, {"tlb_batch": batch}, slots, 1, 1, 64)
    for page in pages:
        sequence.put(Request(MAP, page=page))
        sequence.put(Request(UNMAP))
    answers = [answer for what, _, answer in sequence.log if what == "map"]
    assert sum(len(answer.flushes) for answer in answers) == flushes
    assert sum(answer.served == "hit" for answer in answers) == hits


def test_a_half_that_was_left_without_a_flush_is_flushed_in_its_turn() -> None:
    case = next(case for case in CASES if case.allocator == "split_pool")
    sequence = sequence_of(case, {"batch": 0}, 4, 1, 1, 70)
    for page in (40, 30):
        sequence.put(Request(MAP, page=page))
        sequence.put(Request(UNMAP))
    sequence.put(Request(MAP, page=54))
    for page in (8, 57, 23):
        sequence.put(Request(MAP, page=page))
        sequence.put(Request(UNMAP))
    sequence.put(Request(UNMAP))
    for page in range(60, 68):
        sequence.put(Request(MAP, page=page))
        sequence.put(Request(UNMAP))
    slots = [answer.slot for what, _, answer in sequence.log if what == "map"]
    assert slots == [0, 1, 2, 3, 0, 1, 3, 0, 1, 2, 3, 0, 1, 2]


MISTAKES = {
    "split_pool": (
        "    flush.flushing = 0\n",
        "    flush.flushing = 0\n    if a.pool[1 - p].clean == 0:\n        flush.part = p\n",
    ),
    "lockless_pool": ("    r.slot = at\n", "    r.slot = at\n    a.pool[0].hand = (at + 1) % slots\n"),
    "kmap_local": ("    stack.depth += 1\n", "    stack.depth += 1 + (depth == 2)\n"),
    "global_pool": ("size, colour, colours, 0,", "size, colour * size, 1, 0,"),
    "sf_buf": ("        r.step = _TAKE\n", "        r.step = _FIND\n"),
    "epoch_pool": ("[pool.cursor].count <= 1", "[pool.cursor].count == 1"),
    "percpu_cached": ("        scan(d, a.options[0].slots, r.mark)\n        if", "        if"),
    "per_process": ("flush_there(d, mask)", "flush_there(d, -1)"),
    "mermap": ("region.next = highest\n", "region.next = 0\n"),
    "xen_mapcache": ("a.pool[0].wrapped) & this_cpu(d):", "a.pool[0].wrapped) & 0:"),
    "series_pool": ("    last = a.options[0].series * size", "    last = first + size"),
}


@pytest.mark.parametrize("allocator", MISTAKES)
def test_a_reference_catches_a_mistake_in(allocator: str, tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "broken", dict([MISTAKES[allocator]]), allocator)
    cases = [(case, options) for case, options in EVERY if case.allocator == allocator]
    with pytest.raises(AssertionError):
        for case, options in cases:
            play_some(case, options, broken)
