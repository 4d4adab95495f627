"""The studies of the designs for areas: conditions with hand-made figures, and the fit of their machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.allocators.registry import kmap_allocators, load_allocator, shipped_allocators
from pipeline.machine.in_memory import rows, simulate
from pipeline.machine.profile import load_profile
from pipeline.studies.catalogue import collect
from tests.studies.made import outcome

DOCUMENT = Path(__file__).parents[2] / "docs" / "vmap-designs.md"
LOOPS = 200
PUBLISHED_NS = {"vmap_global": (14_700, 33_600, 49_500, 70_631), "vmap_block": (2_900, 3_000, 2_800, 2_900)}


def one_thread_ns(design: str) -> float:
    """Time of one operation of a thread that maps, touches and unmaps 4 pages on opteron8-2008."""
    trace = rows(LOOPS, pages=4, hold_ns=40)
    return simulate(load_allocator(design), load_profile("opteron8-2008"), trace).wall_ns / LOOPS


@pytest.mark.parametrize("design", PUBLISHED_NS)
def test_the_machine_of_2008_is_fitted_to_one_thread(design):
    assert one_thread_ns(design) == pytest.approx(PUBLISHED_NS[design][0], rel=0.01)


def test_no_other_cost_of_the_machine_of_2008_is_fitted():
    costs = load_profile("opteron8-2008").costs
    assert {name for name, cost in costs.items() if cost.source.startswith("fitted")} == {
        "pte_write_ns", "ipi_latency_ns",
    }  # fmt: skip


def loops(times_as_long: Callable[[str, int], float]) -> list[dict[str, object]]:
    """Loops of each design and number of threads, so many times as long as published."""
    return [
        {
            "allocator": design,
            "tasks": tasks,
            "wall_ns": round(published_ns * times_as_long(design, tasks) * 1_000 / tasks),
        }
        for design, published in PUBLISHED_NS.items()
        for tasks, published_ns in zip((1, 2, 4, 8), published, strict=True)
    ]


def test_a_prediction_hits_within_a_quarter_and_the_fitted_thread_does_not_count():
    assert outcome("vmap_threads", loops(lambda _, tasks: 1.0 if tasks > 1 else 3.0)) == "holds"
    assert outcome("vmap_threads", loops(lambda _, __: 1.24)) == "holds"
    assert outcome("vmap_threads", loops(lambda _, __: 0.81)) == "holds"
    assert outcome("vmap_threads", loops(lambda _, __: 0.79)) == "does not hold"
    assert outcome("vmap_threads", loops(lambda _, tasks: 1.26 if tasks == 8 else 1.0)) == "depends"


def areas(design: str, flushes: int, wall_ns: int, lazy_pages: int | None = None) -> dict[str, object]:
    """A run of 1,000 operations."""
    made = {"machine": "m", "allocator": design, "flushes": flushes, "wall_ns": wall_ns}
    return made | {"vmap_lazy_lazy_pages": lazy_pages}


def test_lazy_flushes_must_be_few_and_the_loop_faster():
    old = [areas("vmap_global", 1_000, 100), areas("vmap_block", 1, 1)]
    few, full = areas("vmap_lazy", 49, 99, 1024), areas("vmap_lazy", 0, 99, 0)
    assert outcome("vmap_lazy_flushes", [*old, few, full], 1) == "holds"
    assert outcome("vmap_lazy_flushes", [*old, few, full | {"wall_ns": 101}], 1) == "depends"
    assert outcome("vmap_lazy_flushes", [*old, few | {"flushes": 50}], 1) == "does not hold"


def mapped(pages: int, map_us: int, design: str = "vmap_lazy") -> dict[str, object]:
    """A run with a threshold; the drain is a factor of vmap_lazy only."""
    drain = "caller" if design == "vmap_lazy" else None
    return {
        "allocator": design,
        "vmap_lazy_drain": drain,
        "lazy_pages": pages,
        "cpus": 4,
        "map_ns": map_us * 1_000_000,
    }


def test_a_larger_threshold_must_make_maps_of_vmap_lazy_slower():
    nodes = [mapped(1024, 3, "vmap_nodes"), mapped(0, 2, "vmap_nodes")]
    assert outcome("vmap_chain", [mapped(1024, 3), mapped(0, 4), *nodes]) == "holds"
    assert outcome("vmap_chain", [mapped(1024, 4), mapped(0, 3), *nodes]) == "does not hold"


def spinning(design: str, nodes: int | None, spin_ns: int) -> dict[str, object]:
    return {"allocator": design, "vmap_nodes_nodes": nodes, "cpu_spin_ns": spin_ns}


def test_nodes_must_halve_the_spinning_of_one_node():
    tree, one = spinning("vmap_lazy", None, 900), spinning("vmap_nodes", 1, 100)
    assert outcome("vmap_spinning", [tree, one, spinning("vmap_nodes", 0, 49)], 1) == "holds"
    assert outcome("vmap_spinning", [tree, one, spinning("vmap_nodes", 0, 50)], 1) == "does not hold"


def test_each_design_for_areas_is_judged():
    judged = {design for study in collect("vmap") for design in study.about}
    assert judged == set(shipped_allocators()) - set(kmap_allocators())


def test_each_study_has_its_section_in_the_document():
    text = DOCUMENT.read_text(encoding="utf-8")
    for study in collect("vmap"):
        assert f"\n### {study.heading}\n" in text
    assert "out of date" not in text
