"""Trials: one run of every design, with changed costs, on the trace and random draws of one seed.

Trials are runs of a sweep: made once, on all CPUs, and found again by a hash of their inputs.
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
    """Costs that replace the machine's, sorted by name, and the replication that sets the seeds."""

    prices: tuple[tuple[str, int], ...]
    replication: int


HARMLESS = "starvation"
"""The finding that does not invalidate a run, which replayed its whole trace correctly."""

Values = tuple[float, ...]
"""The metric of each design; NaN if a hazard invalidates the run."""
Measure = Callable[[str, Iterable[Trial]], Mapping[Trial, Values]]
"""Measures trials; the text is the name of the phase."""
Tell = Callable[[str], AbstractContextManager[Observer]]
"""Yields the observer of the runs of a phase of this name."""


class Bench:
    """Measures trials of some designs in a sweep's directory.

    Raises UsageError and InputError for unknown designs, traces and machines, InputError for a run that
    fails, and the errors of a sweep.
    """

    def __init__(
        self, designs: Sequence[str], conditions: Conditions, metric: Metric, directory: SweepDirectory,
        means: Means, pool: Pool, tell: Tell = lambda _: nullcontext(Observer()),
    ) -> None:  # fmt: skip
        self.designs = list(designs)
        self.hazards: Counter[tuple[str, str]] = Counter()
        """Number of runs that met a hazard, by design and hazard."""
        self._varied = [vary_design(design, conditions) for design in designs]
        self._seed, self._metric, self._directory = conditions.seed, metric, directory
        self._means, self._pool, self._tell = means, pool, tell
        self._known: dict[Trial, Values] = {}

    @property
    def runs(self) -> int:
        """Number of measured runs."""
        return len(self._known) * len(self.designs)

    def plan(self, trial: Trial) -> list[PlannedRun]:
        """The run of each design."""
        prices = {f"costs.{name}": value for name, value in trial.prices}
        return [plan_run(varied | prices, self._seed, trial.replication) for varied in self._varied]

    def commands(self, trial: Trial, designs: Sequence[str]) -> list[str]:
        """Return the command lines that repeat the runs of these designs."""
        runs = dict(zip(self.designs, self.plan(trial), strict=True))
        return list(dict.fromkeys(line for design in designs for line in commands(runs[design])))

    def __call__(self, phase: str, trials: Iterable[Trial]) -> Mapping[Trial, Values]:
        """Measure new trials, and return the results of all trials."""
        # Runs on the same trace are adjacent, as a worker keeps only a few traces open.
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
                f"{run.describe()}: another process that was making this run is gone; repeat the command"
            )
        found = {finding.finding for finding in manifest.findings}
        self.hazards.update((design, finding) for finding in found)
        if found - {HARMLESS}:
            return math.nan
        return self._metric.measure(manifest.totals)
