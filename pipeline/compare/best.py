"""The best design for a trace on a machine: a race of candidates, and how far each is behind the winner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline.compare.candidates import Candidate
from pipeline.compare.making import Conditions, plan_design, runs_directory
from pipeline.compare.selection import Race
from pipeline.errors import InputError, UsageError
from pipeline.runs.metrics import METRICS, Metric
from pipeline.runs.store import read_finished_manifest
from pipeline.schema.manifest import Manifest
from pipeline.statistics import Estimate, paired_difference
from pipeline.sweeps.directory import SweepDirectory
from pipeline.sweeps.maker import Made
from pipeline.sweeps.plan import PlannedRun
from pipeline.sweeps.sweep import Means, Observer, make_runs

FIRST = 10
"""Replications of each candidate before the first one is dropped."""
MOST = 60
"""Largest number of replications, after which the race ends undecided."""
RACED_BY = ("throughput", "cpu")
"""Metrics that are never zero, so their ratios are defined."""

Standing = Literal["best", "may be the best", "close", "behind"]


@dataclass(frozen=True)
class Entrant:
    """One candidate after the race."""

    candidate: Candidate
    manifests: Sequence[Manifest]
    value: float
    """Mean of the metric over the replications."""
    behind: Estimate | None
    """ln of the ratio by which the winner is better; None for the winner."""
    standing: Standing
    dropped_after: int | None = None
    """Number of replications after which the candidate was dropped."""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Interval of the fraction by which the winner is better; None for the winner."""
        if self.behind is None or self.behind.exponential_interval is None:
            return None
        low, high = self.behind.exponential_interval
        return low - 1, high - 1


@dataclass(frozen=True)
class Excluded:
    """A candidate that was excluded from the race, and the reason."""

    candidate: Candidate
    why: str


@dataclass(frozen=True)
class Selection:
    """The result of a race. The first of `entrants` is the winner, or the leader if it is not `decided`."""

    conditions: Conditions
    metric: Metric
    margin: float
    entrants: Sequence[Entrant]
    excluded: Sequence[Excluded]
    decided: bool
    runs: int

    @property
    def winner(self) -> Entrant:
        """The winner, or the leader of an undecided race."""
        return self.entrants[0]


def select_best(
    candidates: Sequence[Candidate],
    conditions: Conditions,
    metric: str = "throughput",
    margin: float = 0.01,
    most: int = MOST,
    output: Path | None = None,
    means: Means | None = None,
    observer: Observer | None = None,
) -> Selection:
    """Race the candidates under the same conditions, starting with `conditions.replications` of each.

    `margin` is a fraction. Candidates whose runs fail or meet a hazard are excluded. Raises UsageError for a
    metric that can be zero, InputError if fewer than two candidates are left, and the errors of a sweep.
    """
    if metric not in RACED_BY:
        raise UsageError(f"--metric: expected {' or '.join(RACED_BY)}, found '{metric}'")
    if margin <= 0:
        raise UsageError(f"--margin: expected a percentage above 0, found {100 * margin:g}")
    chosen = METRICS[metric]
    with runs_directory(output) as directory:
        track = _Track(directory, conditions, chosen, means or Means(), observer or Observer())
        first = max(conditions.replications, 2)
        track.run(candidates, range(first))
        started = [c for c in candidates if c.text not in track.excluded]
        if len(started) < 2:
            raise InputError(_say_nobody(track.excluded))
        race = Race([track.scores(c) for c in started], math.log1p(margin))
        dropped = {i: first for i in range(len(started)) if i not in race.left}
        while not race.decided and race.replications < min(most, race.most_replications):
            _go_on(track, race, started, dropped, most)
    entrants = _place(track, race, started, dropped, margin)
    out = [Excluded(c, track.excluded[c.text]) for c in candidates if c.text in track.excluded]
    runs = sum(map(len, track.manifests.values()))
    return Selection(conditions, chosen, margin, entrants, out, race.decided, runs)


def _go_on(
    track: _Track, race: Race, started: Sequence[Candidate], dropped: dict[int, int], most: int
) -> None:
    """Run a few more replications of the remaining candidates, enough to keep the workers busy."""
    before = race.replications
    batch = range(before, min(before + max(2, before // 5), most, race.most_replications))
    left = list(race.left)
    track.run([started[i] for i in left], batch)
    race.add({i: track.scores(started[i])[before:] for i in left})
    dropped |= {i: race.replications for i in left if i not in race.left}


@dataclass
class _Track:
    """The runs of all candidates, and the candidates that are excluded."""

    directory: SweepDirectory
    conditions: Conditions
    metric: Metric
    means: Means
    observer: Observer

    def __post_init__(self) -> None:
        self.manifests: dict[str, list[Manifest]] = {}
        self.excluded: dict[str, str] = {}

    def run(self, candidates: Sequence[Candidate], replications: range) -> None:
        """Make these replications of each candidate; exclude one whose run fails or meets a hazard."""
        planned = {
            c.text: [plan_design(c.text, self.conditions, replication) for replication in replications]
            for c in candidates
        }
        runs = list({run.key: run for some in planned.values() for run in some}.values())
        problems: dict[str, str] = {}

        def note(run: PlannedRun, made: Made) -> None:
            if made.line:
                problems[run.key] = made.line
            self.observer.made(run, made)

        make_runs(self.directory, runs, self.means, observer=replace(self.observer, made=note))
        for text, some in planned.items():
            found = [read_finished_manifest(self.directory.runs / run.key) for run in some]
            whole = [manifest for manifest in found if manifest is not None]
            if len(whole) < len(found):
                said = [problems[run.key] for run in some if run.key in problems]
                self.excluded[text] = f"its runs fail: {said[0]}" if said else "its runs fail"
            elif hazards := [finding.finding for m in whole for finding in m.findings]:
                self.excluded[text] = f"met a hazard: {hazards[0].replace('_', ' ')}"
            self.manifests.setdefault(text, []).extend(whole)

    def scores(self, candidate: Candidate) -> list[float]:
        """Return logarithms of the metric, whose differences are ratios; larger is better."""
        sign = 1.0 if self.metric.more_is_better else -1.0
        return [sign * math.log(self.metric.measure(m.totals)) for m in self.manifests[candidate.text]]


def _say_nobody(excluded: dict[str, str]) -> str:
    said = "; ".join(f"{name}: {why}" for name, why in list(excluded.items())[:5])
    return (
        f"a race requires two designs that complete the trace{'; ' if said else ''}{said}; add some with -a"
    )


def _place(
    track: _Track, race: Race, started: Sequence[Candidate], dropped: dict[int, int], margin: float
) -> list[Entrant]:
    """Sort the candidates by how far they are behind the winner; the intervals are simultaneous."""
    scores = [track.scores(candidate) for candidate in started]
    lead = max(race.left, key=lambda i: math.fsum(scores[i]) / len(scores[i]))
    entrants = []
    for i, candidate in enumerate(started):
        common = min(len(scores[i]), len(scores[lead]))
        behind = None
        if i != lead:
            found = paired_difference(scores[lead][:common], scores[i][:common])
            # The same runs chose the leader, so the intervals must hold for every pair of candidates.
            behind = replace(found, comparisons=len(started) * (len(started) - 1) // 2)
        values = [track.metric.measure(m.totals) for m in track.manifests[candidate.text]]
        entrants.append(
            Entrant(
                candidate, track.manifests[candidate.text], math.fsum(values) / len(values), behind,
                _standing(behind, margin, i in race.left), dropped.get(i),
            )
        )  # fmt: skip
    return sorted(entrants, key=lambda e: (e.behind is not None, e.behind.value if e.behind else 0.0))


def _standing(behind: Estimate | None, margin: float, left: bool) -> Standing:
    if behind is None:
        return "best"
    # The race decides which candidates are dropped, whatever the interval over few replications is.
    if left or behind.half_width is None:
        return "may be the best"
    return "close" if behind.value + behind.half_width <= math.log1p(margin) else "behind"
