"""Sensitivity of a comparison of designs to the costs of a machine.

Each cost is independent and log-uniform in its range. Screening finds the costs that matter, and Sobol'
indices measure their influence. Draws of all costs show how often one design is ahead of another, and
break-evens give the value of a cost at which the order changes. All designs get the same trace and random
draws, which differ between draws, rows and trajectories.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from pipeline.compare.making import Conditions, parse_design, runs_directory
from pipeline.errors import UsageError, unknown_name
from pipeline.io.numbers import join_words
from pipeline.machine.costs import COST_KINDS
from pipeline.machine.profile import Profile, load_profile
from pipeline.machine.profile_ranges import PriceRange, explain_lack
from pipeline.runs.metrics import Metric, select_metrics
from pipeline.sensitivity.breakevens import PHASE, ends, find_break_evens, find_idle
from pipeline.sensitivity.deciding import LOOKS, Share, advantages, count_draws, is_ratio, ratio_at
from pipeline.sensitivity.prices import Prices
from pipeline.sensitivity.screening import Effect, make_trajectories, screen
from pipeline.sensitivity.trials import Bench, Measure, Tell, Trial, Values
from pipeline.sensitivity.turning import Outcome
from pipeline.sensitivity.variance import Index, find_indices, make_design
from pipeline.statistics import Estimate
from pipeline.sweeps.sweep import Means, open_pool

DRAWS = 100
OPERATIONS = 20_000
"""Default number of operations of a workload."""
TRAJECTORIES = 6
MATTERING = 0.1
"""Smallest effect on a pair, as a fraction of its largest, for which indices are estimated."""
MOST_INDICES = 6
SCREENING, INDICES = "screening and draws", "indices"


@dataclass(frozen=True)
class Pair:
    """Two designs; `a` is ahead in most draws. All results describe the advantage of `a` over `b`."""

    a: str
    b: str
    ratio: bool
    """Whether the advantage is the logarithm of a ratio, else a difference of a metric that can be zero."""
    profile: Estimate
    """Advantage of `a` at the costs of the profile."""
    draws: Share
    behind: int
    """Trials of draws in which `b` was ahead."""
    effects: Mapping[str, Effect]
    indices: Mapping[str, Index]
    break_evens: Mapping[str, Outcome]
    reversal: Trial | None
    """A trial in which `b` is ahead: beyond the nearest break-even, else a draw."""

    @property
    def decided(self) -> bool:
        """Whether the interval of the share of draws is above one half."""
        return self.draws.low > 0.5


@dataclass(frozen=True)
class Sensitivity:
    """The result of an analysis, for each pair of designs."""

    conditions: Conditions
    metric: Metric
    profile: Profile
    ranges: Mapping[str, PriceRange]
    without_range: Mapping[str, str]
    """Costs that cannot vary, with the reason."""
    trials: Counts
    pairs: Sequence[Pair]
    idle: Sequence[str]
    """Costs that change no run, even at the ends of the range in which break-evens are searched."""
    hazards: Mapping[tuple[str, str], int]
    """Number of runs that met a hazard, by design and hazard; except for starvation, they are excluded."""
    runs: int
    commands: Sequence[Sequence[str]]
    """Command lines that replay the `reversal` of each pair."""

    @property
    def decided(self) -> bool:
        """Whether all pairs are decided."""
        return all(pair.decided for pair in self.pairs)


@dataclass(frozen=True)
class Counts:
    """Numbers of draws, of trajectories and of rows for the indices (a power of two)."""

    draws: int = DRAWS
    trajectories: int = TRAJECTORIES

    @property
    def rows(self) -> int:
        """The largest power of two up to the number of draws."""
        return 1 << (self.draws.bit_length() - 1)


def find_sensitivity(
    designs: Sequence[str],
    conditions: Conditions,
    metric: str = "throughput",
    costs: Sequence[str] = (),
    draws: int = DRAWS,
    output: Path | None = None,
    means: Means | None = None,
    tell: Tell | None = None,
) -> Sensitivity:
    """Vary the costs of a machine and compare each pair of two or more designs.

    `costs` names the costs to vary; the default is all that have a range. `conditions.replications` is
    ignored. Raises UsageError for fewer than two designs, for designs with their own costs or machine and
    for unknown names, and the errors of a sweep.
    """
    (chosen,) = select_metrics([metric])
    _check_designs(designs)
    if draws < 2:
        raise UsageError(f"--draws must be at least 2, found {draws}")
    counts = Counts(draws)
    profile = load_profile(conditions.machine).with_costs(conditions.costs or {})
    ranges = _select(profile, costs)
    means = means or Means()
    with runs_directory(output) as directory, open_pool(directory, means) as pool:
        bench = Bench(designs, conditions, chosen, directory, means, pool, *([tell] if tell else []))
        pairs, idle = analyze(bench, designs, Prices(ranges), chosen.more_is_better, counts, conditions.seed)
        commands = [
            bench.commands(pair.reversal, (pair.a, pair.b)) if pair.reversal else [] for pair in pairs
        ]
    fixed = {
        name: explain_lack(COST_KINDS[name], cost.value)
        for name, cost in profile.costs.items()
        if name not in ranges and not costs
    }
    return Sensitivity(
        conditions, chosen, profile, ranges, fixed, counts, pairs, idle, bench.hazards, bench.runs, commands
    )


def _check_designs(designs: Sequence[str]) -> None:
    if len(designs) < 2 or len(set(designs)) < len(designs):
        found = ", ".join(designs) or "none"
        raise UsageError(f"expected at least two different designs, found {found}; name them with -a A,B")
    for design in designs:
        own = [key for key in parse_design(design)[1] if not key.startswith("options.")]
        if own:
            raise UsageError(
                f"design '{design}': costs vary equally for all designs, found {join_words(own)} for one; "
                "omit it, or use a machine profile with different costs (-m mine.toml)"
            )


def _select(profile: Profile, costs: Sequence[str]) -> dict[str, PriceRange]:
    """Return the ranges of the costs that vary. Raises UsageError for an unknown cost or a missing range."""
    ranges = profile.ranges()
    for name in costs:
        if name not in COST_KINDS:
            raise unknown_name("cost", name, COST_KINDS)
        if name not in ranges:
            why = explain_lack(COST_KINDS[name], profile.costs[name].value)
            raise UsageError(f"cost {name} of {profile.name} has no range ({why}); remove it from --cost")
    return {name: found for name, found in ranges.items() if not costs or name in costs}


def analyze(
    measure: Measure,
    designs: Sequence[str],
    prices: Prices,
    more_is_better: bool,
    counts: Counts = Counts(),
    seed: int = 0,
) -> tuple[list[Pair], list[str]]:
    """Return the result for each pair of designs, and the costs that change nothing."""
    return _Analysis(measure, designs, prices, more_is_better, counts, seed).run()


class _Analysis:
    """Run the phases in order: screening and draws, indices of important costs, break-evens."""

    def __init__(
        self, measure: Measure, designs: Sequence[str], prices: Prices, more_is_better: bool,
        counts: Counts, seed: int,
    ) -> None:  # fmt: skip
        self._measure, self._designs, self._prices = measure, designs, prices
        self._more_is_better, self._counts, self._seed = more_is_better, counts, seed
        self._numbers = list(combinations(range(len(designs)), 2))

    def run(self) -> tuple[list[Pair], list[str]]:
        count, names = len(self._prices.names), self._prices.names
        places = make_trajectories(count, self._counts.trajectories, self._seed)
        trajectories = self._place(places)
        # Each draw has its own trace and seed, so draws are independent.
        shuffled = np.random.default_rng(self._seed).random((self._counts.draws, 1, count))
        draws = [trial for (trial,) in self._place(shuffled)]
        own = [Trial((), number) for number in range(LOOKS[-1])]
        known = self._measure(SCREENING, _flat([*trajectories, draws, own]))

        self._orient([known[trial] for trial in draws])
        results = [
            np.array([self._ahead([known[trial] for trial in some], pair) for some in trajectories])
            for pair in range(len(self._numbers))
        ]
        effects = [
            {name: effect for name, effect in zip(names, screen(places, of), strict=True) if effect}
            for of in results
        ]
        nil = [name for name in names if not any(of[name].absolute for of in effects if name in of)]
        at_ends = _flat(ends(self._prices, nil).values())
        indices = self._find_indices(_choose(effects), at_ends)
        idle = find_idle(self._measure(INDICES, at_ends), self._prices, nil)
        moving = [name for name in names if name not in idle]
        outcomes = find_break_evens(self._measure, self._ahead, len(self._numbers), self._prices, moving)
        found = [
            self._pair(pair, own, draws, effects[pair], indices[pair], outcomes[pair])
            for pair in range(len(self._numbers))
        ]
        return found, idle

    def _place(self, places: np.ndarray, names: Sequence[str] | None = None) -> list[list[Trial]]:
        """Return trials at points of shape (replications, points, costs)."""
        return [
            [Trial(self._prices.at(place, names), number) for place in some]
            for number, some in enumerate(places)
        ]

    def _orient(self, draws: Sequence[Values]) -> None:
        """Put the design that is ahead in more draws first in its pair."""
        for pair, (a, b) in enumerate(self._numbers):
            ahead = self._ahead(draws, pair)
            if (ahead < 0).sum() > (ahead > 0).sum():
                self._numbers[pair] = (b, a)

    def _sides(self, values: Sequence[Values], pair: int) -> tuple[list[float], list[float]]:
        a, b = self._numbers[pair]
        return [of[a] for of in values], [of[b] for of in values]

    def _ahead(self, values: Sequence[Values], pair: int) -> np.ndarray:
        return advantages(*self._sides(values, pair), self._more_is_better)

    def _find_indices(self, names: Sequence[str], beside: Sequence[Trial]) -> list[dict[str, Index]]:
        """Return indices of these costs for each pair, with all others at the profile's values.

        The trials `beside` are needed next and are made in the same batch.
        """
        if not names:
            return [{} for _ in self._numbers]
        # Replications are rows: (matrices, rows, costs) to (rows, matrices, costs).
        places = make_design(len(names), self._counts.rows, self._seed).swapaxes(0, 1)
        rows = self._place(places, names)
        known = self._measure(INDICES, [*_flat(rows), *beside])
        found = []
        for pair in range(len(self._numbers)):
            results = np.array([self._ahead([known[trial] for trial in row], pair) for row in rows])
            found.append(dict(zip(names, find_indices(results.T), strict=False)))
        return found

    def _pair(
        self, pair: int, own: Sequence[Trial], draws: Sequence[Trial], effects: Mapping[str, Effect],
        indices: Mapping[str, Index], break_evens: Mapping[str, Outcome],
    ) -> Pair:  # fmt: skip
        known = self._measure(SCREENING, [])
        a, b = (self._designs[number] for number in self._numbers[pair])
        drawn = self._ahead([known[trial] for trial in draws], pair)
        at_profile = [known[trial] for trial in own]
        return Pair(
            a, b, is_ratio(*self._sides(at_profile, pair)), ratio_at(list(self._ahead(at_profile, pair))),
            count_draws(drawn), int((drawn < 0).sum()), effects, indices, break_evens,
            self._reversal(pair, draws, break_evens),
        )  # fmt: skip

    def _reversal(
        self, pair: int, draws: Sequence[Trial], break_evens: Mapping[str, Outcome]
    ) -> Trial | None:
        """Return a trial in which the second design is ahead, with as few changed costs as possible."""
        turned = [
            (max(turn.turned / value, value / turn.turned), cost, turn.turned)
            for cost, outcome in break_evens.items()
            for value in [self._prices.ranges[cost].value]
            for turn in outcome.turns
            if turn.turned is not None and turn.ahead < 0
        ]
        beyond = [
            Trial(self._prices.given({cost: value}), number)
            for _, cost, value in sorted(turned)[:1]
            for number in range(LOOKS[0])
        ]
        known = self._measure(PHASE, beyond)
        return next((trial for trial in [*beyond, *draws] if self._ahead([known[trial]], pair)[0] < 0), None)


def _flat(some: Iterable[Iterable[Trial]]) -> list[Trial]:
    return [trial for one in some for trial in one]


def _choose(effects: Sequence[Mapping[str, Effect]]) -> list[str]:
    """Return the costs with a large effect relative to the largest on any pair, the most important first."""
    shares: dict[str, float] = {}
    for of in effects:
        most = max((effect.absolute for effect in of.values()), default=0.0)
        for name, effect in of.items():
            if most:
                shares[name] = max(shares.get(name, 0.0), effect.absolute / most)
    ordered = sorted(shares, key=lambda name: (-shares[name], name))
    return [name for name in ordered if shares[name] >= MATTERING][:MOST_INDICES]
