"""Whether and why a design is beyond the bounds, tested with hand-made totals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.allocators.registry import pins_tasks, shipped_allocators
from pipeline.studies.matrix.bounds import find_breaches, find_sides
from pipeline.studies.matrix.grid import BOUNDS, FEWEST_FLUSHES, UPPER
from pipeline.studies.matrix.matrix_tables import METRICS, PRICES, Priced, count_findings, metric_cells
from pipeline.studies.point import Point
from pipeline.studies.runner import LOWER
from pipeline.studies.table import Table
from tests.studies.matrix.made import totals

LEAST = totals(operations=100, wall_ns=1_000_000, compute_ns=600_000)


def made(
    allocator: str, pages: int = 1024, findings: tuple[str, ...] = (), cpus: int = 4, **known: Any
) -> Point:
    known = {"operations": 100, "wall_ns": 1_000_000, "compute_ns": 700_000} | known
    return Point(totals(**known), LEAST, allocator, cpus, pages, 4, findings)


def column(allocator: Point) -> dict[str, Point]:
    return {
        LOWER: Point(LEAST, LEAST, LOWER, 4),
        allocator.allocator: allocator,
        FEWEST_FLUSHES: made(FEWEST_FLUSHES, flushes=5, ipis=15),
        UPPER: made(UPPER, wall_ns=4_000_000, compute_ns=3_000_000, flushes=50, ipis=150),
    }


@pytest.mark.parametrize(
    ("known", "outside"),
    [
        ({"flushes": 5}, []),
        ({"flushes": 50}, []),
        ({"flushes": 5, "wall_ns": 995_000}, []),
        ({"flushes": 5, "wall_ns": 900_000}, ["faster"]),
        ({"flushes": 5, "wall_ns": 4_030_000}, []),
        ({"flushes": 5, "wall_ns": 5_000_000}, ["slower"]),
        ({"flushes": 4}, ["fewer flushes"]),
        ({"flushes": 51}, ["more flushes"]),
        ({"flushes": 4, "wall_ns": 900_000}, ["faster", "fewer flushes"]),
    ],
)
def test_only_what_lies_beyond_a_bound_is_outside(known, outside):
    allocator = made("d", **known)
    assert find_sides(allocator, column(allocator)) == outside


def test_the_bounds_themselves_are_never_outside():
    inside = made("d", flushes=5)
    assert find_breaches("s", column(inside)) == []


def only(allocator: Point):
    (breach,) = find_breaches("s", column(allocator))
    return breach


def test_a_design_that_only_idles_less_leaves_the_bound_as_it_is():
    lucky = only(made("d", flushes=5, wall_ns=900_000, compute_ns=700_000))
    assert lucky.explained
    assert "idle" in lucky.why


def test_a_design_with_less_cpu_time_than_free_mapping_is_not_explained():
    wrong = only(made("d", flushes=5, wall_ns=900_000, compute_ns=500_000))
    assert not wrong.explained
    assert "less CPU time" in wrong.why


@pytest.mark.parametrize(
    ("compute_ns", "switch_ns", "explained"), [(600_000, 10_000, True), (590_000, 140_000, False)]
)
def test_a_design_whose_tasks_switch_less_may_take_less_cpu_time(compute_ns, switch_ns, explained):
    free = totals(operations=100, compute_ns=600_000, switch_ns=150_000)
    own = totals(operations=100, wall_ns=900_000, flushes=5, compute_ns=compute_ns, switch_ns=switch_ns)
    points = column(Point(own, free, "d", 4, 1024)) | {LOWER: Point(free, free, LOWER, 4)}
    points = {name: replace(point, lower=free) for name, point in points.items()}
    (breach,) = find_breaches("s", points)
    assert breach.explained == explained
    assert ("for switches" in breach.why) == explained


def test_what_is_slower_than_the_bound_of_flushes_pays_for_something_else():
    slow = only(made("d", flushes=5, wall_ns=9_000_000, compute_ns=8_000_000))
    assert slow.explained
    assert "limits flushes only" in slow.why


@pytest.mark.parametrize(
    ("known", "explained"),
    [
        ({"misses": 51}, True),
        ({"misses": 50}, False),
        ({"misses": 50, "sleeps": 1}, True),
        ({"misses": 40, "sleeps": 10}, False),
    ],
)
def test_more_flushes_than_misses_and_sleeps_allow_are_not_explained(known, explained):
    assert only(made("d", flushes=51, **known)).explained == explained


@pytest.mark.parametrize(
    ("allocator", "why"),
    [
        (made("d"), "never flushes every TLB"),
        (made("d", flushes=4, ipis=11), "some CPUs only"),
        (made("d", flushes=4, ipis=12, pages=2048), "more slots"),
        (made("d", flushes=4, ipis=12), "change the order"),
    ],
)
def test_fewer_flushes_than_any_pool_could_have_are_told_apart(allocator, why):
    assert why in only(allocator).why


def test_an_incomplete_run_with_too_few_flushes_is_not_explained():
    assert not only(
        made("d", flushes=4, ipis=12, operations=50, wall_ns=500_000, compute_ns=400_000)
    ).explained


def test_a_row_has_the_mean_over_runs_of_each_metric():
    cells = metric_cells([made("d", flushes=4), made("d", flushes=51, wall_ns=800_000)])
    assert dict(zip(METRICS, cells, strict=True)) | {"throughput": "1.12", "flushes": "28"} == dict(
        zip(METRICS, cells, strict=True)
    )


def test_prices_are_per_operation_and_findings_are_counted():
    point = made("d", findings=("a", "b", "a"), walks=50, local_flushes=25, switches=10, switch_ns=60_000)
    (row,) = Table.of([Priced(point, pins=True)], PRICES).rows
    assert row[1:5] == ["1,024", "4", "17", "while mapped"]
    assert row[7:10] == ["6.00 (+6.00)", "0.50", "0.25"]
    assert row[-1] == count_findings(("a", "a", "b")) == "2 a, 1 b"
    assert count_findings(()) == "none"


def test_what_binds_a_task_to_its_cpu_pins_it():
    pinning = {name for name in shipped_allocators() if pins_tasks(name)}
    assert pinning >= {"percpu_pinned", "atomic", "kmap_local"}
    assert pinning.isdisjoint(BOUNDS)
