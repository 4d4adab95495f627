"""Break-evens, draws and who is ahead, of designs whose metrics are written down as formulas."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.machine.profile_ranges import PriceRange
from pipeline.sensitivity.deciding import LOOKS, advantages, count_draws, decide
from pipeline.sensitivity.prices import Prices
from pipeline.sensitivity.sensitivity import Counts, analyze
from pipeline.sensitivity.turning import run_searches, search_turns

COUNTS = Counts(draws=32, trajectories=3)


def searched(sign, value=100, least=1, most=10**9):
    """A search's outcome where `sign(x)` says who is ahead at a price of x."""
    search = search_turns(value, least, most)
    (found,) = run_searches(
        [search], lambda asked: {at: {x: sign(x) for x in xs} for at, xs in asked.items()}
    )
    return found


def priced(**values: int) -> Prices:
    return Prices({n: PriceRange(n, "ns", v, v // 2, 2 * v, False, "a rule") for n, v in values.items()})


def measured(metric, noise=0.0):
    """Measures trials by a formula of all prices, with chance that both designs of a trial share in part."""

    def measure(prices, phase, trials):
        known = measure.known
        for trial in trials:
            own = {name: found.value for name, found in prices.ranges.items()} | dict(trial.prices)
            chance = np.random.default_rng(trial.replication).normal(0, noise, 2)
            known[trial] = tuple(m * np.exp(c) for m, c in zip(metric(own), chance, strict=True))
        return known

    measure.known = {}
    return measure


def analyzed(prices, metric, noise=0.0, more_is_better=False):
    measure = measured(metric, noise)
    pairs, idle = analyze(
        lambda phase, trials: measure(prices, phase, trials), ["first", "second"], prices, more_is_better,
        COUNTS,
    )  # fmt: skip
    return pairs[0], idle


def test_a_break_even_is_found_to_a_few_per_cent():
    found = searched(lambda x: 1 if x < 1900 else -1)
    (turn,) = found.turns
    assert (turn.side, turn.ahead) == ("above", -1)
    assert turn.held < 1900 <= turn.turned <= 1.07 * turn.held
    assert turn.value == pytest.approx(1900, rel=0.06)
    below = searched(lambda x: 1 if x > 7 else -1)
    assert [(t.side, t.held, t.turned) for t in below.turns] == [("below", 8, 7)]


def test_where_the_order_cannot_be_told_the_ends_are_named():
    found = searched(lambda x: 1 if x < 1000 else 0 if x < 3000 else -1)
    (turn,) = found.turns
    assert turn.value is None
    assert turn.held < 1000 <= 1.3 * turn.held
    assert turn.turned / 1.3 <= 3000 <= turn.turned
    open_end = searched(lambda x: 1 if x < 1000 else 0)
    assert [(t.turned, t.ahead, t.until) for t in open_end.turns] == [(None, 0, 10_000)]


def test_without_a_turn_the_ends_of_the_search_are_named_and_limits_hold():
    assert searched(lambda x: 1).turns == ()
    assert (searched(lambda x: 1).low, searched(lambda x: 1).high) == (1, 10_000)
    assert searched(lambda x: 1, value=60, most=100).high == 100


def test_a_turn_on_either_side_is_found_once_each():
    found = searched(lambda x: 1 if 30 < x < 4000 else -1)
    assert [(t.side, t.ahead) for t in found.turns] == [("above", -1), ("below", -1)]


def test_the_sign_is_decided_by_as_few_replications_as_do():
    assert decide([1.0, 1.1, 0.9, 1.0]) == 1
    assert decide([-2.0, -2.0, -2.0, -2.0]) == -1
    assert decide([1.0, -1.0, 0.5, -0.4]) is None
    assert decide([1.0, -1.0] * (LOOKS[-1] // 2)) == 0
    assert decide([0.0] * LOOKS[0]) == 0
    assert decide([1.0, 1.0, np.nan, 1.0]) == 0


def test_signs_of_equal_designs_are_rarely_decided():
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(400):
        values = rng.normal(0, 1, LOOKS[-1])
        wrong += any(decide(values[:look]) not in (0, None) for look in LOOKS)
    assert wrong <= 0.05 * 400 + 3 * (400 * 0.05 * 0.95) ** 0.5


def test_a_share_of_draws_has_the_exact_interval():
    share = count_draws(np.array([1.0] * 98 + [-1.0, 0.0, np.nan]))
    assert (share.ahead, share.equal, share.draws, share.unknown) == (98, 1, 100, 1)
    # Clopper and Pearson: the ends are quantiles of beta distributions.
    assert (share.low, share.high) == pytest.approx((0.9296, 0.9976), abs=1e-4)


def test_zeros_are_compared_by_differences():
    assert list(advantages([0.0, 2.0], [3.0, 1.0], more_is_better=False)) == [3.0, -1.0]
    assert advantages([2.0], [1.0], more_is_better=True) == pytest.approx([np.log(2)])


def test_a_design_that_pays_one_price_against_one_that_pays_another():
    prices = priced(local_entry_ns=100, invalidate_ns=300, switch_ns=50)
    pair, idle = analyzed(prices, lambda p: (p["local_entry_ns"], p["invalidate_ns"]), noise=0.01)
    assert (pair.a, pair.b, pair.decided) == ("first", "second", True)
    # Their ranges overlap a little: 50 to 200 against 150 to 600.
    assert 0 < pair.behind < 6
    assert pair.draws.ahead + pair.behind == 32
    assert idle == ["switch_ns"]
    assert pair.profile.value == pytest.approx(np.log(3), abs=0.02)
    assert pair.effects["local_entry_ns"].mean == pytest.approx(-np.log(4), abs=0.01)
    assert pair.effects["invalidate_ns"].mean == pytest.approx(np.log(4), abs=0.01)
    assert pair.indices["local_entry_ns"].total.value == pytest.approx(0.5, abs=0.2)
    (above,) = pair.break_evens["local_entry_ns"].turns
    (below,) = pair.break_evens["invalidate_ns"].turns
    assert (above.side, below.side) == ("above", "below")
    assert above.held < 300 < above.turned < 330
    assert below.turned < 100 < below.held < 110
    # The nearest break-even has a run on its other side.
    ((price, value),) = pair.reversal.prices
    assert (price, value) in {("local_entry_ns", above.turned), ("invalidate_ns", below.turned)}


def test_the_design_that_is_ahead_in_more_draws_comes_first():
    prices = priced(local_entry_ns=100, invalidate_ns=300)
    pair, _ = analyzed(prices, lambda p: (p["local_entry_ns"], p["invalidate_ns"]), more_is_better=True)
    assert (pair.a, pair.b) == ("second", "first")
    assert pair.profile.value == pytest.approx(np.log(3))


def test_designs_that_nothing_tells_apart_are_undecided_with_no_break_even():
    pair, idle = analyzed(priced(walk_ns=100), lambda p: (5.0, 5.0))
    assert (pair.draws.equal, pair.decided, pair.reversal, idle) == (32, False, None, ["walk_ns"])
    noisy, _ = analyzed(priced(walk_ns=100), lambda p: (p["walk_ns"], p["walk_ns"]), noise=0.1)
    assert not noisy.decided
    assert noisy.break_evens["walk_ns"].ahead == 0


def test_a_draw_without_a_result_is_in_no_figure():
    prices = priced(local_entry_ns=100, invalidate_ns=300)
    pair, _ = analyzed(
        prices,
        lambda p: (np.nan if p["local_entry_ns"] > 150 else p["local_entry_ns"], p["invalidate_ns"]),
        noise=0.01,
    )
    assert 0 < pair.draws.unknown < 32
    assert pair.draws.draws + pair.draws.unknown == 32
    assert pair.indices == {} or all(np.isfinite(i.total.value) for i in pair.indices.values())
    (turn,) = pair.break_evens["local_entry_ns"].turns
    assert (turn.side, turn.turned, turn.ahead) == ("above", None, 0)
