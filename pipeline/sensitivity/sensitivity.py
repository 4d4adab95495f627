"""How far the prices of a machine decide which of some designs is better.

Each price has a range; on a logarithmic scale it is as likely anywhere in it, whatever the others are. A
screening says which prices matter, indices by how much, draws of all prices together how often one design is
ahead of another, and break-evens at which value of a price the order turns. Both designs always meet the same
trace and chance; from draw to draw, row to row and trajectory to trajectory these are others.
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
"""Operations of a workload, unless it is said how many."""
TRAJECTORIES = 6
MATTERING = 0.1
"""Indices are estimated of prices whose effect on a pair is at least this share of the largest on it."""
MOST_INDICES = 6
SCREENING, INDICES = "screening and draws", "indices"


@dataclass(frozen=True)
class Pair:
    """Two designs; `a` is ahead in most draws. Everything is told of what `a` is ahead of `b`."""

    a: str
    b: str
    ratio: bool
    """Whether that is the logarithm of a ratio, or else a difference of a metric that can be zero."""
    profile: Estimate
    """What `a` is ahead at the machine's own prices."""
    draws: Share
    behind: int
    """Draws in which `b` was ahead."""
    effects: Mapping[str, Effect]
    indices: Mapping[str, Index]
    break_evens: Mapping[str, Outcome]
    reversal: Trial | None
    """One in which `b` is ahead: beyond the nearest break-even, or else a draw."""

    @property
    def decided(self) -> bool:
        """Whether `a` would be ahead in most of all draws, as far as the interval says."""
        return self.draws.low > 0.5


@dataclass(frozen=True)
class Sensitivity:
    """What was found, for each two of some designs."""

    conditions: Conditions
    metric: Metric
    profile: Profile
    ranges: Mapping[str, PriceRange]
    without_range: Mapping[str, str]
    """Costs that cannot vary, and why."""
    trials: Counts
    pairs: Sequence[Pair]
    idle: Sequence[str]
    """Prices that change no run, not even by the factor within which break-evens are looked for."""
    hazards: Mapping[tuple[str, str], int]
    """How many runs met a hazard, by design and hazard; but for starvation they are part of no figure."""
    runs: int
    commands: Sequence[Sequence[str]]
    """For each pair the command lines that replay its `reversal`."""

    @property
    def decided(self) -> bool:
        """Whether each pair is decided."""
        return all(pair.decided for pair in self.pairs)


@dataclass(frozen=True)
class Counts:
    """How many draws, trajectories, and rows (a power of two) of indices."""

    draws: int = DRAWS
    trajectories: int = TRAJECTORIES

    @property
    def rows(self) -> int:
        """The largest power of two that is not more than the draws."""
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
    """Vary the prices of a machine and see which of two or more designs is better, pair by pair.

    `costs` are the only prices that vary; all that have a range if there are none. `replications` of the
    conditions do not matter. Raises UsageError for fewer than two designs, for designs with prices or
    machines of their own, and for names that are not there; and what a sweep raises.
    """
    (chosen,) = select_metrics([metric])
    _check_designs(designs)
    if draws < 2:
        raise UsageError(f"--draws wants 2 or more, found {draws}")
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
        raise UsageError(f"wanted two or more different designs, found {found}; name them with -a A,B")
    for design in designs:
        own = [key for key in parse_design(design)[1] if not key.startswith("options.")]
        if own:
            raise UsageError(
                f"design '{design}': prices vary for all designs alike, found {join_words(own)} of its own; "
                "leave that out, or give a machine profile with other prices (-m mine.toml)"
            )


def _select(profile: Profile, costs: Sequence[str]) -> dict[str, PriceRange]:
    """Ranges of the prices that vary. Raises UsageError for one that is not there or has no range."""
    ranges = profile.ranges()
    for name in costs:
        if name not in COST_KINDS:
            raise unknown_name("cost", name, COST_KINDS)
        if name not in ranges:
            why = explain_lack(COST_KINDS[name], profile.costs[name].value)
            raise UsageError(f"cost {name} of {profile.name} has no range ({why}); leave it out of --cost")
    return {name: found for name, found in ranges.items() if not costs or name in costs}


def analyze(
    measure: Measure,
    designs: Sequence[str],
    prices: Prices,
    more_is_better: bool,
    counts: Counts = Counts(),
    seed: int = 0,
) -> tuple[list[Pair], list[str]]:
    """What `measure` tells of each two designs, and the prices that change nothing."""
    return _Analysis(measure, designs, prices, more_is_better, counts, seed).run()


class _Analysis:
    """One after another: screening with draws; indices of what matters; break-evens."""

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
        # Each draw meets a trace and a chance of its own, so that draws are independent of one another.
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
        """Trials at places of shape (replications, points, prices)."""
        return [
            [Trial(self._prices.at(place, names), number) for place in some]
            for number, some in enumerate(places)
        ]

    def _orient(self, draws: Sequence[Values]) -> None:
        """Let the design that is ahead in more draws be the first of its pair."""
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
        """Indices of these prices for each pair, all others at the machine's own.

        Trials `beside` these are wanted next, and are made with them.
        """
        if not names:
            return [{} for _ in self._numbers]
        # Replications are rows: (matrices, rows, prices) to (rows, matrices, prices).
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
        """A trial in which the second is ahead, with as little as possible that is not the machine's own."""
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
    """Prices whose effect is large beside the largest on any pair, the most important first."""
    shares: dict[str, float] = {}
    for of in effects:
        most = max((effect.absolute for effect in of.values()), default=0.0)
        for name, effect in of.items():
            if most:
                shares[name] = max(shares.get(name, 0.0), effect.absolute / most)
    ordered = sorted(shares, key=lambda name: (-shares[name], name))
    return [name for name in ordered if shares[name] >= MATTERING][:MOST_INDICES]
