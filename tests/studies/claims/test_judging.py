"""Each verdict's logic on made-up figures: every outcome can come out, and only where it should."""

from __future__ import annotations

import pytest

from pipeline.studies.claims import per_cpu
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
