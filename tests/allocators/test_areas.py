"""Designs for mappings of several pages do, request by request, what their references say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.registry import load_allocator
from tests.allocators.answer import Answer, Flush
from tests.allocators.sequence import MAP, UNMAP, USE, Request, Sequence
from tests.allocators.test_references import AREA_CASES, Case, Options, each_of
from tests.machine.runs import mutate_allocator
from tests.machine.steps import ASLEEP, HOME

CASE_OF = {case.allocator: case for case in AREA_CASES}
EACH = each_of(AREA_CASES)


class AreaSequence(Sequence):
    """Any task that is at home may undo the mapping of another; a worker runs soon after it was woken."""

    def put(self, request: Request) -> Answer:
        home = [task for task in self.bench.tasks if task.state == HOME]
        owners = [task for task in self.bench.tasks if task.mapped]
        # One task stays awake, to undo what others wait for.
        what = UNMAP if request.what == MAP and owners and len(home) == 1 else request.what
        if what != MAP and not owners:
            return Answer("nothing")
        task = home[request.who % len(home)]
        if what == USE:
            return super().put(request) or Answer("nothing")
        if what == UNMAP:
            owner = owners[request.page % len(owners)]
            self.bench.hand_over(owner, request.where % len(owner.mapped), task)
            request = Request(UNMAP, request.who, request.where)
        answer = self.start(task, self._cpu_for(task, request.where), request)
        if request.who % 3 or any(task.state == ASLEEP for task in self.bench.tasks):
            self.work()
        return answer

    def flushes(self) -> list[Flush]:
        answers = [*(answer for _, _, answer in self.log), *self.worked]
        return [flush for answer in answers for flush in answer.flushes]


def sequence_of(
    allocator: str | Allocator, cpus: int, tasks: int, space_pages: int, **options: Any
) -> AreaSequence:
    """The design, or a changed copy of it, beside its reference."""
    design = load_allocator(allocator) if isinstance(allocator, str) else allocator
    case = CASE_OF[design.name.removeprefix("broken_")]
    given = options | {"space_pages": space_pages}
    written = {name: str(value) for name, value in given.items()}
    return AreaSequence(design, written, case.reference(cpus, tasks, **given), tasks, 1 << 20, tasks)


def area_requests(seed: int, number: int, lengths: list[int], busy: float) -> Iterator[Request]:
    """Maps of pages that are mapped once each, unmaps, and uses on other CPUs."""
    chance, page = Random(seed), 0
    for _ in range(number):
        what = chance.choices([MAP, UNMAP, USE], [busy, 1.0, 0.3])[0]
        pages = chance.choice(lengths)
        yield Request(what, chance.randrange(1 << 16), chance.randrange(1 << 16), page, pages=pages)
        page += pages


def play_some(allocator: str | Allocator, options: Options) -> list[AreaSequence]:
    """Short sequences on machines and address spaces of several sizes."""
    played = []
    for seed in range(6):
        chance = Random(seed)
        space, cpus, tasks = chance.randint(16, 64), chance.randint(1, 4), chance.randint(2, 6)
        sequence = sequence_of(allocator, cpus, tasks, space, **options)
        try:
            sequence.play(area_requests(seed, 90, [1, 1, 2, 3, 5, 8], 1.2))
        except AssertionError as wrong:
            raise AssertionError(f"seed {seed}: {space} pages, {cpus} CPUs, {tasks} tasks") from wrong
        played.append(sequence)
    return played


@EACH
def test_a_design_answers_as_its_reference(case: Case, options: Options) -> None:
    played = play_some(case.allocator, options)
    assert sum(len(sequence.log) for sequence in played) > 300
    assert sum(len(sequence.flushes()) for sequence in played) > 20
    served = {answer.served for sequence in played for _, _, answer in sequence.log}
    assert served == {"miss", "unmapped", "sleeps"}
    wanted = "drain" in options or case.allocator == "vmap_nodes"
    assert any(sequence.worked for sequence in played) == wanted


@pytest.mark.parametrize(
    ("allocator", "options"),
    [
        ("vmap_global", {}),
        ("vmap_lazy", {"lazy_pages": 900}),
        ("vmap_block", {"lazy_pages": 900}),
        ("vmap_block", {"block_pages": 512, "lazy_pages": 900, "drain": "worker"}),
        ("vmap_nodes", {"lazy_pages": 900, "nodes": 3}),
        ("vmap_nodes", {"lazy_pages": 900, "guard_pages": 0}),
    ],
)
def test_long_areas_beside_short_ones(allocator: str, options: Options) -> None:
    # Longest in a block: 64 pages, and 128 are a block; longest in a pool: 256 pages with the guard page.
    lengths = [1, 63, 64, 65, 128, 255, 256, 257, 600]
    sequence = sequence_of(allocator, 4, 6, 5_000, **options)
    sequence.play(area_requests(5, 500, lengths, 1.1))
    assert len(sequence.log) > 300
    assert sequence.flushes()


@pytest.mark.parametrize("allocator", ["vmap_lazy", "vmap_nodes"])
@pytest.mark.parametrize(("cpus", "mib"), [(1, 32), (4, 96), (8, 128)])
def test_by_default_as_many_mib_stay_lazy_as_in_linux(allocator: str, cpus: int, mib: int) -> None:
    sequence = sequence_of(allocator, cpus, 2, 1 << 17, guard_pages=0)
    answers = []
    for page in range(0, 1 << 16, 1 << 10):
        for request in (Request(MAP, page=page, pages=1 << 10), Request(UNMAP)):
            answers.append(sequence.put(request))
        sequence.work()
        if page and (sequence.worked or sequence.flushes()):
            break
    # As long as the limit: 4 MiB each, and one more.
    assert len(answers) == 2 * (mib // 4 + 1)


def test_a_map_waits_for_an_area_that_another_task_undoes() -> None:
    sequence = sequence_of("vmap_lazy", 2, 3, 8, lazy_pages=100, guard_pages=0)
    for page in (0, 10):
        sequence.put(Request(MAP, who=0, page=page, pages=4))
    assert sequence.put(Request(MAP, who=1, page=20, pages=3)).served == "sleeps"
    done = sequence.put(Request(UNMAP, who=1, where=1))
    assert (done.passes, done.woken) == ([(2, 1)], [1])
    assert sequence.flushes() == [(frozenset(range(4, 8)), frozenset({0, 1}))]
    assert [answer.slot for what, _, answer in sequence.log if what == "map"] == [0, 4, None, 4]


def test_a_cpu_cuts_its_maps_from_its_own_blocks() -> None:
    sequence = sequence_of("vmap_block", 2, 2, 64, block_pages=8, lazy_pages=100)
    slots = [
        sequence.put(Request(MAP, where=cpu, page=10 * number, pages=pages)).slot
        for number, (cpu, pages) in enumerate([(0, 3), (1, 1), (0, 4), (0, 1), (1, 2), (1, 8), (0, 9)])
    ]
    # A block of CPU 0, of CPU 1, of CPU 0 again, a whole one of CPU 1, and an area with its guard page.
    assert slots == [0, 8, 4, 16, 9, 24, 32]


def test_a_node_maps_again_what_its_own_cpus_have_unmapped() -> None:
    sequence = sequence_of("vmap_nodes", 2, 2, 64, lazy_pages=1, guard_pages=0)
    sequence.put(Request(MAP, where=0, page=0, pages=3))
    sequence.put(Request(UNMAP, where=1))
    sequence.work()
    assert sequence.put(Request(MAP, where=1, page=10, pages=3)).slot == 3
    assert sequence.put(Request(MAP, where=0, page=20, pages=3)).slot == 0


_LIMIT = {"pool[0].lazy > limit(a, d)": "pool[0].lazy >= limit(a, d)"}
_SHORT_RANGE = {"flush_range(d, first, end - first)": "flush_range(d, first, end - first - 1)"}
_NOT_REDUCED = {"        a.pool[0].lazy -= r.mark\n": ""}
_FORGOTTEN = {"too_many or a.pool[0].short == 1": "a.pool[0].short == 1"}
_SHORT_RANGES = {
    "vmap_global": {"r.slot, a.slots[r.slot].length)": "r.slot, a.slots[r.slot].length - 1)"},
    "vmap_lazy": _SHORT_RANGE,
    "vmap_block": _SHORT_RANGE,
    "vmap_nodes": {"flush_range(d, low, high - low)": "flush_range(d, low, high - low - 1)"},
}
_OTHER_NODE = {
    "_lazy_lock(owner)": "_lazy_lock(0)",
    "lazy_head\n        a.pool[1 + owner]": "lazy_head\n        a.pool[1]",
}
_LONGER = {"return r.pages + a.options[0].guard_pages": "return r.pages"}
_HIGHER = {"<= at + extent.length:": "< at + extent.length:"}
MISTAKES: list[tuple[str, str, dict[str, str]]] = [
    *[(name, "limit", _LIMIT) for name in ("vmap_lazy", "vmap_block", "vmap_nodes")],
    *[(name, "a short range", change) for name, change in _SHORT_RANGES.items()],
    *[(name, "a count not reduced", _NOT_REDUCED) for name in ("vmap_lazy", "vmap_block")],
    *[(name, "no purge", _FORGOTTEN) for name in ("vmap_lazy", "vmap_block")],
    *[(name, "no guard page", _LONGER) for name in CASE_OF],
    *[(name, "a gap that just fits", _HIGHER) for name in CASE_OF],
    ("vmap_global", "no wake", {"a.queues[0].sleepers > 0": "False"}),
    ("vmap_block", "no power of two", {"        pages *= 2\n": "        pages += 1\n"}),
    ("vmap_block", "no retired blocks", {"block.used == block.dirty and": "False and"}),
    ("vmap_nodes", "a count not reduced", {"        a.pool[0].lazy -= r.budget\n": ""}),
    ("vmap_nodes", "no purge", {"r.mark == 1 or": ""}),
    ("vmap_nodes", "half of a pool", {"pool.count // 4": "pool.count // 2"}),
    ("vmap_nodes", "another node", _OTHER_NODE),
    ("vmap_nodes", "pools of all lengths", {"> POOL_SIZES or a.pool[0].emptying == 1": "> 3"}),
]


@pytest.mark.parametrize(
    ("allocator", "changes"),
    [(allocator, changes) for allocator, _, changes in MISTAKES],
    ids=[f"{allocator}-{name}" for allocator, name, _ in MISTAKES],
)
def test_a_reference_catches_a_mistake(allocator: str, changes: dict[str, str], tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, f"broken_{allocator}", changes, allocator)
    with pytest.raises(AssertionError):
        for options in CASE_OF[allocator].choices:
            play_some(broken, options)
