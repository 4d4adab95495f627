"""Verdicts of the mermap's claims, on made-up totals of replications."""

from __future__ import annotations

import pytest

from pipeline.studies.claims import mermap
from pipeline.studies.claims.mermap import Beside, Failing
from tests.studies.claims.made import point


def failing(trace: str, *fallbacks: int, pages: int = 64, entries: int = 4) -> Failing:
    """Replications of 10,000 maps each, of which so many fall back."""
    points = [point(trace, misses=10_000 - count, fallbacks=count) for count in fallbacks]
    return Failing(trace, pages, entries, points)


SELDOM = failing("alone", 1, 2, 1)
OFTEN = failing("shared", 900, 905, 910)
UNTOLD = failing("between", 0, 9, 20)


def test_maps_must_seldom_fail_in_every_trace():
    assert mermap.judge_failing([SELDOM])[0] == "holds"
    assert mermap.judge_failing([OFTEN])[0] == "does not hold"
    outcome, because = mermap.judge_failing([SELDOM, OFTEN])
    assert outcome == "depends"
    assert because.startswith("On how many threads of a process share a CPU (not seldom: shared)")
    assert "alone 0.0133; shared 9.05" in because


def test_what_replications_do_not_tell_is_not_seldom():
    assert UNTOLD.seldom is None
    outcome, because = mermap.judge_failing([UNTOLD])
    assert outcome == "does not hold"
    assert "(between: the replications do not tell)" in because


def test_a_recording_that_is_replayed_once_counts_as_it_is():
    assert failing("recorded", 10).seldom is True
    assert failing("recorded", 11).seldom is False
    assert failing("recorded", 10).interval == pytest.approx((0.1, 0.1))


def test_only_the_authors_size_decides_and_others_are_told():
    small = failing("alone", 500, 510, 505, entries=1)
    outcome, because = mermap.judge_failing([SELDOM, small])
    assert outcome == "holds"
    assert (
        "Of 1 traces they seldom do in 1 with 4 entries and 64 pages and 0 with 1 entry and 64 pages"
        in because
    )


def beside(case: str, own_ns: list[int], pool_ns: list[int], **pool: int) -> Beside:
    """Replications of 1,000 maps each, whose flushes, passes and interrupts take so long."""
    own = [point(case, misses=1_000, flush_ns=ns, full_local_flushes=8) for ns in own_ns]
    others = [
        point(case, misses=1_000, flush_ns=ns // 2, scan_ns=ns // 4, interrupted_ns=ns // 4, **pool)
        for ns in pool_ns
    ]
    return Beside(case, own, others)


CHEAPER = beside("a", [8_000, 8_100, 7_900], [40_000, 41_000, 40_400], wall_ns=2_000_000)
DEARER = beside("b", [8_000, 8_100, 7_900], [4_000, 4_100, 4_400])
EQUAL = beside("c", [8_000, 8_400, 7_600], [8_400, 7_600, 8_000])


def test_own_flushes_must_be_cheaper_in_every_compile():
    assert mermap.judge_flushing([CHEAPER])[0] == "holds"
    assert mermap.judge_flushing([DEARER])[0] == "does not hold"
    outcome, because = mermap.judge_flushing([CHEAPER, DEARER, EQUAL])
    assert outcome == "depends"
    assert because.startswith("On how often the pool flushes (dearer: b). ")
    assert "in 1 of 3 compiles. The replications do not tell in c." in because
    assert "Throughput is 1.000 (b) to 2.000 times (a) that of the pool." in because


def test_all_that_flushes_take_from_any_cpu_is_counted():
    assert CHEAPER.dearer_ns.value == pytest.approx(8.0 - 40.4666, abs=0.01)
    assert CHEAPER.rate(CHEAPER.own, lambda p: p.totals.full_local_flushes) == pytest.approx(8_000)


def test_more_comparisons_want_wider_intervals():
    low, high = mermap.bounds(CHEAPER.dearer_ns)
    wider = mermap.bounds(Beside("a", CHEAPER.own, CHEAPER.pool, comparisons=6).dearer_ns)
    assert wider[0] < low < high < wider[1]
