"""Trials: every design once, with other prices than the machine's own, on the trace and chance of one seed.

They are runs of a sweep: made once, on all CPUs, found again by what determines them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from pipeline.compare.making import Conditions, vary_design
from pipeline.errors import InputError
from pipeline.runs.metrics import Metric
from pipeline.runs.store import read_finished_manifest
from pipeline.sweeps.commands import commands
from pipeline.sweeps.directory import SweepDirectory
from pipeline.sweeps.maker import Made
from pipeline.sweeps.plan import PlannedRun, plan_run
from pipeline.sweeps.pool import Pool
from pipeline.sweeps.sweep import Means, Observer, make_runs


@dataclass(frozen=True)
class Trial:
    """Prices in place of the machine's own, sorted by name, and the replication whose seeds are met."""

    prices: tuple[tuple[str, int], ...]
    replication: int


HARMLESS = "starvation"
"""A finding of runs that count: they did their whole trace, and correctly."""

Values = tuple[float, ...]
"""The metric of each design; not a number where a hazard makes a design's run worth nothing."""
Measure = Callable[[str, Iterable[Trial]], Mapping[Trial, Values]]
"""Measures trials; the text says what for."""
Tell = Callable[[str], AbstractContextManager[Observer]]
"""Yields who is told how the runs of a phase of this name go on."""


class Bench:
    """Measures trials of some designs in a sweep's directory.

    Raises UsageError and InputError for designs, trace and machine that are not there, and what a sweep does;
    InputError for a run that fails.
    """

    def __init__(
        self, designs: Sequence[str], conditions: Conditions, metric: Metric, directory: SweepDirectory,
        means: Means, pool: Pool, tell: Tell = lambda _: nullcontext(Observer()),
    ) -> None:  # fmt: skip
        self.designs = list(designs)
        self.hazards: Counter[tuple[str, str]] = Counter()
        """How many runs of a design met a hazard, by design and hazard."""
        self._varied = [vary_design(design, conditions) for design in designs]
        self._seed, self._metric, self._directory = conditions.seed, metric, directory
        self._means, self._pool, self._tell = means, pool, tell
        self._known: dict[Trial, Values] = {}

    @property
    def runs(self) -> int:
        """How many runs were measured."""
        return len(self._known) * len(self.designs)

    def plan(self, trial: Trial) -> list[PlannedRun]:
        """The run of each design."""
        prices = {f"costs.{name}": value for name, value in trial.prices}
        return [plan_run(varied | prices, self._seed, trial.replication) for varied in self._varied]

    def commands(self, trial: Trial, designs: Sequence[str]) -> list[str]:
        """The command lines that make the runs of these designs again."""
        runs = dict(zip(self.designs, self.plan(trial), strict=True))
        return list(dict.fromkeys(line for design in designs for line in commands(runs[design])))

    def __call__(self, phase: str, trials: Iterable[Trial]) -> Mapping[Trial, Values]:
        """Measure trials that are not known yet; gives all that are known."""
        # Runs on one trace stand together: a worker keeps only the last few open.
        wanted = sorted({*trials} - self._known.keys(), key=lambda t: (t.replication, t.prices))
        planned = {trial: self.plan(trial) for trial in wanted}
        runs = list({run.key: run for some in planned.values() for run in some}.values())
        if runs:
            self._make(phase, runs)
        for trial, some in planned.items():
            self._known[trial] = tuple(map(self._value, self.designs, some))
        return self._known

    def _make(self, phase: str, runs: Sequence[PlannedRun]) -> None:
        problems: list[str] = []
        with self._tell(phase) as observer:

            def note(run: PlannedRun, made: Made) -> None:
                if made.line:
                    problems.append(f"{run.describe()}: {made.line}")
                observer.made(run, made)

            result = make_runs(
                self._directory, runs, self._means, observer=replace(observer, made=note), pool=self._pool
            )
        if failed := result.failed + result.poison:
            said = f"; {problems[0]}" if problems else ""
            raise InputError(
                f"{failed} of {result.runs} runs failed{said}; leave the design out, or keep the runs with "
                "-o DIR and see 'pipeline sweep status DIR'"
            )

    def _value(self, design: str, run: PlannedRun) -> float:
        manifest = read_finished_manifest(self._directory.runs / run.key)
        if manifest is None:
            raise InputError(
                f"{run.describe()}: wanted its run, and another process that was making it is gone; give the "
                "same command again"
            )
        found = {finding.finding for finding in manifest.findings}
        self.hazards.update((design, finding) for finding in found)
        if found - {HARMLESS}:
            return math.nan
        return self._metric.measure(manifest.totals)
