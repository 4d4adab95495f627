"""The sections on hit rates by size and on the lengths of waits."""

from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from pipeline.studies.lockmeter.miss_ratio import SIZES, configurations, describe_curve
from pipeline.studies.lockmeter.prediction import PAGE_TABLE_KINDS, configure, predict
from pipeline.studies.lockmeter.waits import AT_LEAST_US, count_waits, hand_offs, measure_waits
from pipeline.studies.point import Point
from tests.studies.lockmeter.test_prediction import A, short


def run(**totals: int) -> Point:
    """A run with some totals given."""
    made: Any = SimpleNamespace(fallbacks=0, **totals)
    return Point(made, made)


def test_either_configuration_differs_in_where_page_tables_are_and_in_nothing_else() -> None:
    runs = configurations(512)
    assert (runs["lowmem"].allocator, runs["lowmem"].lowmem) == ("global_pool", PAGE_TABLE_KINDS)
    assert (runs["highmem"].allocator, runs["highmem"].lowmem) == ("series_pool", ())
    assert {one.options["slots"] for one in runs.values()} == {512}
    assert {(one.workload, one.machine, one.cpus) for one in runs.values()} == {
        ("kernel_build", "numaq16", 16)
    }


def test_the_curve_gives_each_size_and_both_facts() -> None:
    runs = {
        (place, slots): run(hits=slots, misses=8192, flushes=100_000 // slots)
        for slots in SIZES
        for place in ("lowmem", "highmem")
    }
    text = describe_curve(runs)
    assert text.count("\n| ") == len(SIZES) + 2
    # 1,024 of 9,216 maps hit; 97 flushes fall to 24.
    assert "| 1,024 | 11.1 | 97 | 11.1 | 97 |" in text
    assert "flushes fall from 97 to 24." in " ".join(text.split())
    assert text.count("    line [") == 2


def test_waits_are_counted_by_length_with_their_share_of_the_time() -> None:
    waits = count_waits(pl.DataFrame({"value": [10_000, 100_000, 8_000_000], "n": [80, 9, 1]}))
    assert waits.counts == (10, 10, 1, 1, 1, 0)
    assert waits.time_percent[AT_LEAST_US.index(1_000)] == pytest.approx(100 * 8.0 / 9.7)
    assert waits.mean_us == pytest.approx(9_700 / 90)
    assert waits.longest_us == 8_000
    assert (
        count_waits(pl.DataFrame({"value": [], "n": []}, {"value": pl.Int64, "n": pl.Int64})).longest_us == 0
    )


def test_each_way_to_hand_over_differs_from_the_model() -> None:
    first, *others = hand_offs().values()
    assert all(other.machine_changes and other != first for other in others)


def test_the_waits_of_a_run_have_the_mean_and_the_maximum_of_its_totals() -> None:
    row = short(A, 10_000)
    sites = predict(row).sites
    for site, waits in measure_waits([configure(row)])[0].items():
        assert waits.mean_us == pytest.approx(sites[site].wait_mean_us)
        assert waits.longest_us == pytest.approx(sites[site].wait_max_us)
        assert waits.counts[0] > 0
