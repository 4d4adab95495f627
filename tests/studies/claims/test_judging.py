"""Each verdict's logic on made-up figures: every outcome can come out, and only where it should."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.studies.claims import caching, one_cpu, per_cpu, pinned, pool_size, simultaneous
from pipeline.studies.claims.caching import Cost
from pipeline.studies.claims.one_cpu import MapCost
from pipeline.studies.claims.per_cpu import Point
from pipeline.studies.claims.pinned import Storm
from pipeline.studies.claims.pool_size import Size
from pipeline.studies.claims.simultaneous import FirstSleep
from tests.studies.claims.made import totals


@pytest.mark.parametrize(
    ("at", "outcome"),
    [
        ((257, 257), "holds"),
        ((257, 256), "depends"),
        ((256, 256), "does not hold"),
        ((258, None), "does not hold"),
    ],
)
def test_a_pool_of_256_slots_must_make_the_257th_map_sleep_and_no_other(at, outcome):
    found = [FirstSleep(f"pool {k}", 256, 256, True, first) for k, first in enumerate(at)]
    assert simultaneous.judge(found)[0] == outcome
    # Another arrangement is told of, and decides nothing.
    other = FirstSleep("another", 128, 256, False, 3)
    assert simultaneous.judge([*found, other])[0] == outcome
    assert "another: map number 3 is the first to sleep" in simultaneous.judge([*found, other])[1]


STORM = Cost("fault_storm", 10, 4, 100, 60, 10, 5, 0, 6, 1, 1, 900.0, 5.0, 40.0)
CALM = replace(STORM, workload="kernel_build", sleep_wall_ns=0, sleeps_per_1000=0.0)


def test_flushing_must_cost_more_than_sleeping_wherever_tasks_sleep():
    assert caching.judge([CALM, STORM])[0] == "holds"
    asleep = replace(STORM, sleep_wall_ns=71)
    assert caching.judge([CALM, STORM, asleep])[0] == "depends"
    assert caching.judge([CALM, asleep])[0] == "does not hold"


def test_flushes_of_woken_tasks_are_told_from_other_flushes():
    # Of 75 ns of wall time, 70 go when nobody can sleep any more: 5 are left to flushing for its own sake.
    outcome, because = caching.judge([CALM, replace(STORM, exhaustion_wall_ns=70)])
    assert outcome == "depends"
    assert "woken" in because
    assert caching.judge([CALM, replace(STORM, exhaustion_wall_ns=30)])[0] == "holds"


def test_chance_where_nobody_sleeps_does_not_count_for_sleeping():
    assert caching.judge([replace(CALM, flush_wall_ns=-3, refill_wall_ns=0)])[0] == "holds"


def test_a_cost_is_what_its_step_saves():
    whole = totals(wall_ns=1000, compute_ns=900, misses=8, hits=2, flushes=4, sleeps=1)
    found = caching.cost(
        "w", 3, 7, [whole, *(totals(wall_ns=ns, compute_ns=ns // 2) for ns in (700, 600, 590, 850))]
    )
    assert (found.flush_wall_ns, found.refill_wall_ns, found.sleep_wall_ns) == (300, 100, 10)
    assert found.exhaustion_wall_ns == 150
    assert found.without_sleepers_wall_ns == 400 + 10 - 150
    assert (found.flush_cpu_ns, found.refill_cpu_ns, found.sleep_cpu_ns) == (550, 50, 5)
    assert (found.misses_per_1000, found.flushes_per_1000, found.sleeps_per_1000) == (800, 400, 100)
    # Where nobody slept, nothing was tried without sleeping.
    calm = caching.cost("w", 3, 7, [whole, totals(wall_ns=700), totals(wall_ns=600)])
    assert (calm.sleep_wall_ns, calm.exhaustion_wall_ns) == (0, 0)


def storms(*freed_and_passes):
    return [
        pinned.storm(
            tasks,
            totals(scans=passes, scanned=10 * passes, freed=freed * passes, misses=500, hits=500),
        )
        for tasks, (freed, passes) in enumerate(freed_and_passes, start=1)
    ]


def test_more_tasks_must_make_passes_more_frequent_and_less_useful_at_every_step():
    worse = storms((9, 50), (6, 70), (1, 400))
    assert worse[0] == Storm(1, 0, 9.0, 10.0, 10.0, 50.0, 50.0, 0.0, 0.0, 0.0)
    assert pinned.judge(worse)[0] == "holds"
    assert pinned.judge(storms((9, 50), (6, 40), (1, 400)))[0] == "depends"
    assert pinned.judge(storms((1, 400), (6, 70), (9, 50)))[0] == "does not hold"
    # Most entries must be pinned at the end.
    assert pinned.judge(storms((9, 50), (8, 70), (7, 400)))[0] == "depends"


SIZES = [
    Size(128, 70.0, 500, 10.0, 800.0, 4.0, 20.0, 5.0),
    Size(1024, 90.0, 20, 200.0, 4000.0, 0.8, 20.0, 5.0),
    Size(2048, 95.0, 5, 900.0, 8000.0, 0.4, 20.0, 5.0),
    Size(4096, 99.0, 0, None, None, 0.0, 20.0, 5.0),
]


def test_2048_slots_must_beat_each_smaller_pool_in_hits_and_flushes():
    assert pool_size.judge(SIZES)[0] == "holds"
    for rival in ({"hit_percent": 95.0}, {"flushes": 5}):
        outcome, because = pool_size.judge([SIZES[0], replace(SIZES[1], **rival), *SIZES[2:]])
        assert outcome == "depends"
        assert "not better than 1024" in because
    assert pool_size.judge([replace(size, hit_percent=99.0) for size in SIZES])[0] == "does not hold"


def test_a_pool_that_never_wraps_has_no_pass():
    found = pool_size.size(2048, totals(hits=9, misses=1))
    assert (found.maps_per_flush, found.pass_us) == (None, None)
    assert "no pass to take longer" in pool_size.judge([SIZES[0], found])[1]
    found = pool_size.size(64, totals(hits=9, misses=1, scans=2, flushes=2, scan_ns=3000, flush_ns=1000))
    assert (found.maps_per_flush, found.pass_us) == (5.0, 2.0)


def scaling(case: str, first: float, last: float, **counted: int) -> list[Point]:
    none = {"acquisitions": 0, "flushes": 0, "ipis": 0}
    return [
        Point(case, per_cpu.ALLOCATOR, cpus, share * 100.0, 100.0, **none | counted)
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


def costs(invlpg_ns: float, flush_ns: float, uncached_ns: float, skew: float = 1.0) -> list[MapCost]:
    common = {
        "hit_percent": 50.0, "map_and_unmap_ns": 0.0, "scan_ns": 0.0, "flush_ns": 0.0, "rest_ns": 0.0,
        "freed_per_pass": 100.0,
    }  # fmt: skip
    return [
        MapCost(skew, 64, one_cpu.FAVOURED, per_map_ns=invlpg_ns, **common),
        MapCost(skew, 64, one_cpu.FLUSHING, per_map_ns=flush_ns, **common),
        MapCost(skew, None, "atomic", per_map_ns=uncached_ns, **common),
    ]


def test_invlpg_in_the_pass_must_be_cheaper_than_a_flush_and_than_no_cache():
    assert one_cpu.judge(costs(1, 2, 3))[0] == "holds"
    assert one_cpu.judge(costs(2, 1, 3))[0] == "depends"
    assert one_cpu.judge(costs(2, 3, 1))[0] == "depends"
    assert one_cpu.judge(costs(3, 2, 1))[0] == "does not hold"
    assert one_cpu.judge(costs(2, 2, 2))[0] == "does not hold"
    assert one_cpu.judge(costs(1, 2, 3) + costs(2, 1, 3, skew=2.0))[0] == "depends"


def test_a_pool_that_never_wraps_decides_nothing_about_its_pass():
    wraps, never = costs(1, 2, 3), costs(1, 1, 3, skew=2.0)
    never = [replace(cost, freed_per_pass=None) for cost in never]
    assert one_cpu.judge([*wraps, *never])[0] == "holds"
    assert one_cpu.judge(never)[0] == "depends"


def test_a_maps_cost_is_what_it_adds_to_a_run_where_mapping_is_free():
    run = totals(misses=10, compute_ns=5000, critical_ns=200, scan_ns=100, flush_ns=50, in_use_ns=1030)
    found = one_cpu.map_cost(1.0, 64, "x", run, totals(compute_ns=5000, in_use_ns=1000))
    assert (found.per_map_ns, found.map_and_unmap_ns, found.scan_ns, found.flush_ns, found.rest_ns) == (
        38, 20, 10, 5, 3,
    )  # fmt: skip
