"""What paired differences tell, against brute force, published examples and simulated experiments."""

from __future__ import annotations

import itertools
import random

import pytest

from pipeline.compare.judge import EXACT, Pairs, holm, judge, least_pairs, sign_flip_p_value, t_p_value


@pytest.mark.parametrize("count", [2, 3, 6, 9])
def test_the_p_value_counts_the_ways_of_flipping_signs_that_are_as_extreme(count):
    draws = random.Random(count)
    values = [draws.gauss(0.5, 1) for _ in range(count)]
    sums = [
        sum(s * v for s, v in zip(signs, values, strict=True))
        for signs in itertools.product((1, -1), repeat=count)
    ]
    expected = sum(abs(s) >= abs(sum(values)) - 1e-12 for s in sums) / 2**count
    assert sign_flip_p_value(values) == pytest.approx(expected)


def test_the_exact_test_of_darwins_maize_is_fishers():
    # Differences in height of 15 pairs of plants, eighths of an inch; Fisher (1935, 21) counts 1,726 of
    # 32,768 ways as extreme as the observed sum of 314.
    heights = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert sum(heights) == 314
    assert sign_flip_p_value(heights) == pytest.approx(1_726 / 32_768)
    # And Student's t of 2.148 with 14 degrees of freedom.
    assert t_p_value(heights) == pytest.approx(0.0497, abs=2e-4)


def test_many_pairs_are_judged_by_t():
    draws = random.Random(3)
    values = [draws.gauss(0.3, 1) for _ in range(EXACT + 1)]
    assert sign_flip_p_value(values) == t_p_value(values)


def test_one_pair_and_no_difference_tell_nothing():
    assert sign_flip_p_value([3.0]) is None
    assert sign_flip_p_value([0.0, 0.0]) is None
    assert t_p_value([1.0]) is None


def test_holm_multiplies_the_smallest_most_and_keeps_the_order():
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06], nan_ok=True)
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_fewer_than_six_pairs_cannot_tell_at_five_per_cent():
    assert least_pairs(1) == 6
    assert min(p for p in [sign_flip_p_value([1.0] * 5)] if p) > 0.05
    assert sign_flip_p_value([1.0] * 6) < 0.05
    assert least_pairs(7) == 9


def verdicts(a, b, *, more_is_better=True, margin=0.01):
    (judgement,) = judge([Pairs(a, b, more_is_better)], margin)
    return judgement.verdict


def test_a_clear_difference_is_better_or_worse_by_what_is_wanted():
    a = [100, 101, 99, 102, 98, 100, 101, 99]
    assert verdicts(a, [x * 1.2 for x in a]) == "better"
    assert verdicts(a, [x * 1.2 for x in a], more_is_better=False) == "worse"
    assert verdicts(a, [x * 0.8 for x in a]) == "worse"


def test_what_lies_within_the_margin_is_the_same_however_sure_the_difference_is():
    a = [100.0, 101, 99, 102, 98, 100, 101, 99]
    assert verdicts(a, [x * 1.005 for x in a]) == "same"
    assert verdicts(a, [x * 1.005 for x in a], margin=0.001) == "better"


def test_too_little_is_undecided_and_says_how_much_more_would_do():
    a = [100, 110, 90, 105]
    (judgement,) = judge([Pairs(a, [x * 1.3 for x in a], True)], 0.01)
    assert (judgement.verdict, judgement.wanted) == ("undecided", 6)
    draws = random.Random(1)
    noisy = [x * draws.gauss(1, 0.2) for x in [100.0] * 8]
    (judgement,) = judge([Pairs([100.0] * 8, noisy, True)], 0.01)
    assert judgement.verdict == "undecided"
    assert judgement.wanted > 8
    assert verdicts([100], [200]) == "undecided"


def test_a_figure_that_appears_out_of_nothing_has_no_ratio_and_a_verdict():
    (judgement,) = judge([Pairs([0.0] * 7, [3.0, 4, 5, 3, 4, 5, 4], False)], 0.01)
    assert judgement.ratio is None
    assert judgement.verdict == "worse"
    assert verdicts([0.0], [0.0]) == "same"


def test_a_ratio_is_the_geometric_mean_with_an_interval_on_a_log_scale():
    # ln 2, ln 4 and ln 8: mean ln 4, standard deviation ln 2; t(0.975, 2) = 4.3027.
    (judgement,) = judge([Pairs([1.0, 10, 3], [2.0, 40, 24], True)], 0.01)
    assert judgement.ratio == pytest.approx(4)
    spread = 2 ** (4.302653 / 3**0.5)
    assert judgement.ratio_interval == pytest.approx((4 / spread, 4 * spread), rel=1e-6)
    (other,) = judge([Pairs([2.0, 40, 24], [1.0, 10, 3], True)], 0.01)
    assert other.ratio_interval == pytest.approx((1 / (4 * spread), spread / 4), rel=1e-6)


def test_no_interval_of_noisy_pairs_claims_a_slowdown_of_more_than_all():
    draws = random.Random(5)
    a, b = ([draws.lognormvariate(0, 2) for _ in range(4)] for _ in range(2))
    (judgement,) = judge([Pairs(a, b, True)], 0.01)
    low, high = judgement.ratio_interval
    assert 0 < low < judgement.ratio < high


def test_nine_or_more_of_ten_intervals_of_log_normal_pairs_hold_the_ratio():
    """The true ratio is 1.5; of 400 intervals, 380 should have it, with a standard deviation of 4.4."""
    draws = random.Random(8)
    held = 0
    for _ in range(400):
        a = [draws.lognormvariate(3, 1) for _ in range(6)]
        b = [1.5 * x * draws.lognormvariate(0, 0.4) for x in a]
        low, high = judge([Pairs(a, b, True)], 0.01)[0].ratio_interval
        held += low <= 1.5 <= high
    assert 362 <= held <= 398


def test_zeros_have_no_interval_and_are_judged_by_their_differences():
    (gone,) = judge([Pairs([3.0, 4, 5, 3, 4, 5, 4], [0.0] * 7, False)], 0.01)
    assert (gone.ratio, gone.ratio_interval, gone.verdict) == (0.0, None, "better")
    (mixed,) = judge([Pairs([0.0, 2, 3, 2, 3, 2], [1.0, 3, 4, 3.5, 4, 3], False)], 0.01)
    assert (mixed.ratio, mixed.ratio_interval, mixed.verdict) == (None, None, "worse")
    assert verdicts([0.0, 200, 200], [0.0, 200, 200.1]) == "same"


def test_the_margin_is_as_wide_both_ways_of_a_ratio():
    a = [100.0] * 6
    assert verdicts(a, [x * 1.0099 for x in a]) == verdicts([x * 1.0099 for x in a], a) == "same"
    assert verdicts(a, [x * 1.0101 for x in a]) == verdicts([x * 1.0101 for x in a], a, more_is_better=False)
    assert verdicts(a, [x * 1.0101 for x in a]) == "better"


def test_equal_sides_are_called_better_or_worse_in_few_of_many_comparisons():
    draws = random.Random(9)
    wrong = 0
    for _ in range(300):
        metrics = []
        for _ in range(5):
            common = [draws.uniform(50, 150) for _ in range(10)]
            metrics.append(Pairs(*([c * draws.gauss(1, 0.05) for c in common] for _ in range(2)), True))
        wrong += any(judgement.verdict in ("better", "worse") for judgement in judge(metrics, 0.001))
    # At most 15 expected, standard deviation 3.8.
    assert wrong <= 25
