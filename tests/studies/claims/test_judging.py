"""Each verdict's logic on made-up figures: every outcome can come out, and only where it should."""

from __future__ import annotations

import pytest

from pipeline.studies.claims import one_cpu, per_cpu
from pipeline.studies.point import Point
from tests.studies.claims.made import lock, point, totals


def test_figures_of_passes_are_for_each_pass():
    wraps = point(hits=9, misses=1, scans=2, flushes=2, scan_ns=3000, flush_ns=1000)
    assert (wraps.maps_per_flush, wraps.pass_us) == (5.0, 2.0)


def scaling(case: str, first: float, last: float, acquisitions: int = 0, **counted: int) -> list[Point]:
    lower = totals(operations=1000)
    return [
        point(
            case,
            lower,
            allocator=per_cpu.ALLOCATOR,
            cpus=cpus,
            operations=round(1000 * share),
            locks=[lock(acquisitions)],
            **counted,
        )
        for cpus, share in ((1, first), (64, last))
    ]


def test_a_design_that_scales_completely_loses_nothing_per_cpu_anywhere():
    assert per_cpu.judge(scaling("build", 0.9, 0.88))[0] == "holds"
    outcome, because = per_cpu.judge(scaling("build", 0.9, 0.88) + scaling("storm", 0.8, 0.4))
    assert outcome == "depends"
    assert "incomplete: storm" in because
    assert per_cpu.judge(scaling("storm", 0.8, 0.4))[0] == "does not hold"


@pytest.mark.parametrize("counted", ["acquisitions", "flushes", "ipis"])
def test_a_design_that_shares_anything_between_cpus_refutes_the_claim(counted):
    assert per_cpu.judge(scaling("build", 1.0, 1.0, **{counted: 1}))[0] == "does not hold"


def costs(invlpg_ns: int, flush_ns: int, uncached_ns: int, skew: str = "1", scans: int = 1) -> list[Point]:
    """A map through the pool with invlpg, through the pool with a flush, and through no pool."""
    bound = totals(operations=10)
    return [
        point(
            skew,
            bound,
            {"slots": 64},
            allocator=allocator,
            operations=10,
            hits=10,
            scans=scans,
            compute_ns=10 * per_map_ns,
        )
        for allocator, per_map_ns in (
            (one_cpu.FAVOURED, invlpg_ns),
            (one_cpu.FLUSHING, flush_ns),
            ("atomic", uncached_ns),
        )
    ]


def test_invlpg_in_the_pass_must_be_cheaper_than_a_flush_and_than_no_cache():
    assert one_cpu.judge(costs(1, 2, 3))[0] == "holds"
    assert one_cpu.judge(costs(2, 1, 3))[0] == "depends"
    assert one_cpu.judge(costs(2, 3, 1))[0] == "depends"
    assert one_cpu.judge(costs(3, 2, 1))[0] == "does not hold"
    assert one_cpu.judge(costs(2, 2, 2))[0] == "does not hold"
    assert one_cpu.judge(costs(1, 2, 3) + costs(2, 1, 3, skew="2"))[0] == "depends"


def test_a_pool_that_never_wraps_decides_nothing_about_its_pass():
    wraps, never = costs(1, 2, 3), costs(1, 1, 3, skew="2", scans=0)
    assert one_cpu.judge([*wraps, *never])[0] == "holds"
    assert one_cpu.judge(never)[0] == "depends"


def test_a_maps_cost_is_what_it_adds_to_a_run_where_mapping_is_free():
    spent = {"critical_ns": 200, "scan_ns": 100, "flush_ns": 50, "in_use_ns": 1030}
    bound = totals(operations=10, compute_ns=5000, in_use_ns=1000)
    run = point(lower=bound, operations=10, misses=10, compute_ns=5000, **spent)
    assert (1e3 * run.dearer_us, one_cpu.rest_ns(run)) == pytest.approx((38, 3))
    assert [run.per_map(run.cpu_ns(part)) for part in ("critical", "scan", "flush")] == [20, 10, 5]
