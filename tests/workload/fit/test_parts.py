"""What each part of the fit finds in numbers drawn from a law that is known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.workload.distributions import Constant, Empirical, Exponential, Lognormal, Mixture, Pareto
from pipeline.workload.fit.comparison import pool_hit_rate
from pipeline.workload.fit.popularity import fit_popularity
from pipeline.workload.fit.times import fit_time
from pipeline.workload.sampling_tables import QuantileTable, zipf_probabilities


def drawn(distribution, count: int = 40_000) -> np.ndarray:
    raw = np.random.Generator(np.random.SFC64(7)).integers(0, 2**64, count, np.uint64)
    return QuantileTable([distribution]).draw(raw)


@pytest.mark.parametrize(
    ("pages", "skew", "operations", "instances"),
    [(65_536, 1.3, 200_000, 1), (30_000, 1.0, 100_000, 1), (200, 2.05, 4_500, 48), (4, 0.0, 130, 500)],
)
def test_pages_and_skew_are_found_from_counts_alone(pages, skew, operations, instances) -> None:
    random = np.random.Generator(np.random.SFC64(3))
    counts = random.multinomial(operations, zipf_probabilities(pages, skew), instances)
    found = fit_popularity(counts[counts > 0], instances)
    assert found.skew == pytest.approx(skew, abs=0.03)
    assert found.pages == pytest.approx(pages, rel=0.1)


def test_a_uniform_pool_of_which_every_page_was_mapped_is_not_taken_for_a_skewed_one() -> None:
    counts = np.random.Generator(np.random.SFC64(3)).poisson(20, 1000)
    found = fit_popularity(counts[counts > 0], 1)
    assert (found.pages, found.skew < 0.05) == (1000, True)


def test_the_fit_names_the_distribution_that_times_were_drawn_from() -> None:
    exponential = fit_time(drawn(Exponential(dist="exponential", mean_ns=16_000))).distribution
    assert exponential.dist == "exponential"
    assert exponential.mean_ns == pytest.approx(16_000, rel=0.02)
    lognormal = fit_time(drawn(Lognormal(dist="lognormal", median_ns=50_000, sigma=0.5))).distribution
    assert lognormal.dist == "lognormal"
    assert lognormal.median_ns == pytest.approx(50_000, rel=0.02)
    assert lognormal.sigma == pytest.approx(0.5, abs=0.01)
    mixed = Mixture(
        dist="mixture", share=0.517, first=Exponential(dist="exponential", mean_ns=2_000),
        rest=Lognormal(dist="lognormal", median_ns=156_000, sigma=1.53),
    )  # fmt: skip
    found = fit_time(drawn(mixed)).distribution
    assert found.dist == "mixture"
    assert found.share == pytest.approx(0.517, abs=0.01)
    assert found.first.mean_ns == pytest.approx(2_000, rel=0.03)
    assert found.rest.median_ns == pytest.approx(156_000, rel=0.05)


def test_one_value_is_a_constant_and_a_few_are_listed() -> None:
    assert fit_time(np.full(9, 500)).distribution == Constant(dist="constant", ns=500)
    found = fit_time(np.array([1, 1, 5, 5, 5])).distribution
    assert found == Empirical(dist="empirical", values_ns=[1, 5], weights=[2.0, 3.0])


def test_what_has_no_name_here_becomes_quantiles_with_the_same_shape_and_mean() -> None:
    times = drawn(Pareto(dist="pareto", minimum_ns=1_000, alpha=1.5, maximum_ns=1_000_000))
    fitted = fit_time(times)
    assert fitted.distribution.dist == "quantiles"
    assert fitted.distance < 0.02
    again = drawn(fitted.distribution)
    assert np.median(again) == pytest.approx(np.median(times), rel=0.02)
    assert again.mean() == pytest.approx(times.mean(), rel=0.05)


def test_a_pool_that_is_full_is_emptied_and_pages_need_slots_again() -> None:
    pages = [1, 2, 1, 3, 1, 3, 2, 2]
    last: dict[int, int] = {}
    distance = []
    for i, page in enumerate(pages):
        distance.append(i - last[page] if page in last else 0)
        last[page] = i
    # Two slots: 1 and 2; emptied for 3, 1; emptied for 2. Found: 1, 3, 2.
    assert pool_hit_rate(np.array(distance), 2) == 3 / 8
    assert pool_hit_rate(np.array(distance), 3) == 5 / 8
    # Longer than what is looked at at a time.
    assert pool_hit_rate(np.array([0, 0] + [2] * 998), 2) == 998 / 1000
