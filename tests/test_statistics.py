"""Confidence intervals, held against published tables and worked by hand."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from pipeline.statistics import Estimate, mean, paired_difference, paired_ratio, units_to_see


def test_a_mean_has_the_interval_of_the_text_book():
    # Mean 3, variance 2.5, and 2.776 is the 97.5 % quantile at 4 degrees of freedom.
    found = mean([1, 2, 3, 4, 5])
    assert found.value == 3
    assert found.half_width == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=1e-3)


def test_a_ratio_is_that_of_the_sums_and_its_residuals_give_the_interval():
    # 12 / 6 = 2; residuals 1, -1, 0; t at 2 degrees of freedom is 4.303.
    found = paired_ratio([3, 3, 6], [1, 2, 3])
    assert found.value == 2
    assert found.half_width == pytest.approx(4.303 * math.sqrt(2 * 3 / 2) / 6, rel=1e-3)


def test_proportional_units_leave_no_doubt_and_one_unit_nothing_but_doubt():
    assert paired_ratio([2, 4, 6], [1, 2, 3]).half_width == 0
    assert paired_ratio([2], [1]).half_width is None
    assert not paired_ratio([1], [1]).may_be(1)
    assert paired_difference([5, 6], [5, 6]).may_be(0)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    draws = random.Random(7)
    held = 0
    for _ in range(1000):
        common = [draws.uniform(5, 15) for _ in range(26)]
        these = [1.1 * c + draws.gauss(0, 1) for c in common]
        those = [c + draws.gauss(0, 1) for c in common]
        held += paired_ratio(these, those).may_be(1.1)
    # 950 expected, standard deviation 7.
    assert 925 <= held <= 975


def test_equal_designs_are_rarely_told_apart_in_a_report_although_the_observed_best_is_the_reference():
    draws = random.Random(5)
    designs, units, reports = 8, 6, 400
    comparisons = designs * (designs - 1) // 2

    def told_apart(family: int) -> int:
        count = 0
        for _ in range(reports):
            common = [draws.uniform(90, 110) for _ in range(units)]
            runs = [[c + draws.gauss(0, 2) for c in common] for _ in range(designs)]
            best = max(runs, key=sum)
            others = (paired_ratio(run, best) for run in runs if run is not best)
            count += any(not replace(ratio, comparisons=family).may_be(1) for ratio in others)
        return count

    # At most 20 expected, standard deviation 4; intervals that each hold alone tell some apart far too often.
    assert told_apart(comparisons) <= 28
    assert told_apart(1) > 100


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(ValueError, match="positive sum"):
        paired_ratio([1, 2], [0, 0])
    with pytest.raises(ValueError, match="positive difference"):
        units_to_see(0.1, 0)


@pytest.mark.parametrize(
    ("units", "published"),
    # Half widths of intervals, in errors: Abramowitz and Stegun, table 26.10.
    [(2, 12.706), (3, 4.303), (6, 2.571), (11, 2.228), (30, 2.045)],
)
def test_intervals_are_as_wide_as_the_published_quantiles_of_t(units, published):
    assert Estimate(0, 1, units).half_width == pytest.approx(published, abs=0.0006)


def test_what_pairing_saves_is_the_variance_that_both_sides_share():
    # Deviations -1, 0, 1 on both sides and -1, 1, 0 for the difference: 2 of 2 + 2.
    found = paired_difference([1, 3, 2], [1, 2, 3])
    assert found.variance_share == pytest.approx(0.5)
    assert paired_ratio([2, 6, 4], [1, 2, 3]).variance_share == pytest.approx(0.5)
    assert paired_difference([1, 2, 3], [1, 2, 3]).variance_share == 0


def test_a_difference_that_is_called_visible_is_found_as_often_as_it_says():
    draws = random.Random(11)
    deviation, units = 3.0, 5
    # The error of a known deviation: what the next experiment will estimate.
    difference = Estimate(0, deviation / math.sqrt(units), units).smallest_visible
    found = sum(
        not mean([draws.gauss(difference, deviation) for _ in range(units)]).may_be(0) for _ in range(1_000)
    )
    # 800 expected, standard deviation 13. Adding two quantiles of t is known to be a little too careful.
    assert 790 <= found <= 900


def test_so_many_units_see_a_difference_and_one_less_do_not():
    units = units_to_see(2.0, 1.5)
    assert Estimate(0, 2 / math.sqrt(units), units).smallest_visible <= 1.5
    assert Estimate(0, 2 / math.sqrt(units - 1), units - 1).smallest_visible > 1.5
    assert units_to_see(1e-9, 1) == 2
