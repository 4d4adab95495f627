"""Confidence intervals, held against published tables and worked by hand."""

from __future__ import annotations

import math
import random

import pytest

from pipeline.report.statistics import mean, paired_difference, paired_ratio, t_probability, t_quantile


@pytest.mark.parametrize(
    ("probability", "freedom", "published"),
    [
        # Abramowitz and Stegun, table 26.10.
        (0.975, 1, 12.706),
        (0.975, 2, 4.303),
        (0.975, 5, 2.571),
        (0.975, 10, 2.228),
        (0.975, 29, 2.045),
        (0.995, 3, 5.841),
        (0.95, 24, 1.711),
        (0.75, 4, 0.741),
        (0.025, 10, -2.228),
    ],
)
def test_quantiles_of_t_are_the_published_ones(probability, freedom, published):
    assert t_quantile(probability, freedom) == pytest.approx(published, abs=0.0006)


def test_half_of_t_lies_below_zero_and_a_quantile_leads_back():
    for freedom in range(1, 40):
        assert t_probability(0.0, freedom) == 0.5
        assert t_probability(t_quantile(0.9, freedom), freedom) == pytest.approx(0.9, abs=1e-11)


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


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(ValueError, match="positive sum"):
        paired_ratio([1, 2], [0, 0])
    with pytest.raises(ValueError, match="freedom"):
        t_quantile(0.9, 0)
