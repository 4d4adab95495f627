import numpy as np
import pytest
from pydantic import TypeAdapter

from pipeline.schema.trace import MAX_TIME_NS
from pipeline.workload.distributions import TimeDistribution
from pipeline.workload.sampling_tables import AliasTable, QuantileTable, alias_columns, zipf_probabilities

_DRAWS = 1_000_000


def _raw(count: int, seed: int = 5) -> np.ndarray:
    return np.random.SFC64(seed).random_raw(count)


def _distribution(**keys: object) -> TimeDistribution:
    return TypeAdapter(TimeDistribution).validate_python(keys)


def _bounded_pareto_mean(low: float, alpha: float, high: float) -> float:
    kept = 1.0 - (low / high) ** alpha
    return low**alpha / kept * alpha / (alpha - 1.0) * (low ** (1.0 - alpha) - high ** (1.0 - alpha))


@pytest.mark.parametrize(
    ("keys", "mean_ns"),
    [
        ({"dist": "constant", "ns": 700}, 700.0),
        ({"dist": "exponential", "mean_ns": 20_000}, 20_000.0),
        ({"dist": "uniform", "low_ns": 1_000, "high_ns": 3_000}, 2_000.0),
        ({"dist": "lognormal", "median_ns": 15_000, "sigma": 0.5}, 15_000.0 * np.exp(0.125)),
        ({"dist": "lognormal", "median_ns": 15_000, "sigma": 0.0}, 15_000.0),
        (
            {"dist": "pareto", "minimum_ns": 1_000, "alpha": 1.5, "maximum_ns": 1_000_000},
            _bounded_pareto_mean(1e3, 1.5, 1e6),
        ),
        ({"dist": "empirical", "values_ns": [300, 9_000], "weights": [9.0, 1.0]}, 1_170.0),
        ({"dist": "quantiles", "points": [[0.0, 200], [0.5, 900], [1.0, 71_000]]}, 18_250.0),
    ],
)
def test_each_distribution_has_its_mean_in_its_table_and_in_its_draws(
    keys: dict[str, object], mean_ns: float
) -> None:
    table = QuantileTable([_distribution(**keys)])
    drawn = table.draw(_raw(_DRAWS))
    assert table.means_ns[0] == pytest.approx(mean_ns, rel=2e-3)
    assert abs(drawn.mean() - mean_ns) <= 5.0 * drawn.std() / np.sqrt(_DRAWS) + 1.0
    assert drawn.dtype == np.int64


def test_exponential_draws_have_the_tail_of_an_exponential() -> None:
    drawn = QuantileTable([_distribution(dist="exponential", mean_ns=1_000_000)]).draw(_raw(4_000_000))
    for multiple in (1, 5, 10, 12):
        expected = 4_000_000 * np.exp(-multiple)
        assert abs((drawn > multiple * 1_000_000).sum() - expected) < 5.0 * np.sqrt(expected)


def test_all_raw_bits_set_give_the_largest_value_and_none_the_smallest() -> None:
    ends = np.array([0, 2**64 - 1], np.uint64)
    uniform = QuantileTable([_distribution(dist="uniform", low_ns=1_000, high_ns=3_000)]).draw(ends)
    assert uniform.tolist() == [1_000, 3_000]
    heavy = QuantileTable([_distribution(dist="lognormal", median_ns=2**45, sigma=5.0)]).draw(ends)
    assert heavy[0] == 0
    assert heavy[1] == MAX_TIME_NS - 1


def test_a_rare_large_value_of_an_empirical_distribution_keeps_its_share() -> None:
    table = QuantileTable(
        [_distribution(dist="empirical", values_ns=[5, 1_000_000], weights=[99_999.0, 1.0])]
    )
    drawn = table.draw(_raw(4_000_000))
    assert set(np.unique(drawn)) == {5, 1_000_000}
    assert abs((drawn == 1_000_000).sum() - 40) < 5 * np.sqrt(40)


def test_rows_of_different_kinds_are_drawn_from_their_own_distribution() -> None:
    table = QuantileTable(
        [_distribution(dist="constant", ns=1), _distribution(dist="exponential", mean_ns=99)]
    )
    raw = _raw(10_000)
    which = np.arange(10_000) % 2
    drawn = table.draw(raw, which)
    assert (drawn[which == 0] == 1).all()
    assert (drawn[which == 1] == table.draw(raw[which == 1], 1)).all()


@pytest.mark.parametrize(
    ("pages", "skew"), [(1, 1.0), (2, 0.5), (7, 0.0), (1_000, 1.0), (5_000, 2.5), (300_000, 1.1)]
)
def test_an_alias_table_holds_exactly_the_probabilities_it_was_made_from(pages: int, skew: float) -> None:
    probabilities = zipf_probabilities(pages, skew)
    keep, alias = alias_columns(probabilities)
    held = keep + np.bincount(alias, 1.0 - keep, minlength=pages)
    assert (keep >= 0.0).all()
    assert (keep <= 1.0).all()
    np.testing.assert_allclose(held / pages, probabilities, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("skew", [0.0, 0.8, 1.0, 1.5])
def test_zipf_draws_pass_a_chi_square_test_against_their_probabilities(skew: float) -> None:
    pages = 200
    drawn = AliasTable(pages, skew).draw(_raw(_DRAWS))
    expected = _DRAWS * zipf_probabilities(pages, skew)
    chi_square = ((np.bincount(drawn, minlength=pages) - expected) ** 2 / expected).sum()
    degrees = pages - 1
    # the statistic has mean `degrees` and variance 2 * `degrees`
    assert abs(chi_square - degrees) < 5.0 * np.sqrt(2.0 * degrees)


def test_a_mixture_draws_from_either_distribution_in_its_share() -> None:
    mixture = _distribution(
        dist="mixture",
        share=0.6,
        first={"dist": "uniform", "low_ns": 100, "high_ns": 200},
        rest={"dist": "lognormal", "mean_ns": 1_000_000, "sigma": 0.5},
    )
    drawn = QuantileTable([mixture]).draw(_raw(200_000))
    short = drawn[drawn <= 200]
    assert len(short) / len(drawn) == pytest.approx(0.6, abs=0.005)
    assert short.mean() == pytest.approx(150, rel=0.01)
    assert drawn[drawn > 200].mean() == pytest.approx(1_000_000, rel=0.01)
