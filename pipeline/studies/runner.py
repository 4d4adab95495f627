"""Run experiments in parallel, as a sweep does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.compare.making import runs_directory
from pipeline.errors import InputError
from pipeline.io.progress import progress
from pipeline.io.toml_overrides import apply_overrides
from pipeline.machine.catalogue import profile_path
from pipeline.runs.store import read_finished_manifest
from pipeline.schema.manifest import Manifest
from pipeline.studies.experiment import LOOP, Experiment
from pipeline.sweeps.directory import SweepDirectory
from pipeline.sweeps.plan import PlannedRun, plan_run
from pipeline.sweeps.sweep import Means, Observer, make_runs

LOWER = "direct_map"
"""The lower bound, for which mapping costs nothing."""


class Runner:
    """Runs experiments in a sweep directory, each once.

    `advance` is called with the number of runs that were made or that already existed.
    """

    def __init__(
        self,
        directory: SweepDirectory,
        advance: Callable[[int], None] = lambda _: None,
        workers: int | None = None,
    ) -> None:
        self.directory = directory
        self._advance = advance
        self._workers = workers or len(os.sched_getaffinity(0))
        self._plans: dict[str, PlannedRun] = {}
        self._manifests: dict[str, Manifest] = {}

    def make(self, experiments: Sequence[Experiment]) -> list[Manifest]:
        """Make the missing runs and return the manifests of all. Raises InputError for failed runs."""
        plans = [self._plan(experiment) for experiment in experiments]
        todo = list({plan.key: plan for plan in plans if plan.key not in self._manifests}.values())
        if todo:
            observer = Observer(
                plan=lambda _, there, __: self._advance(there), made=lambda *_: self._advance(1)
            )
            means = Means(min(self._workers, len(todo)))
            result = make_runs(self.directory, todo, means, observer=observer)
            if result.done < len(todo):
                raise InputError(
                    f"{len(todo) - result.done} of {len(todo)} runs failed; print the reasons with 'pipeline "
                    f"sweep status {self.directory.path}'"
                )
            for plan in todo:
                manifest = read_finished_manifest(self.directory.runs / plan.key)
                assert manifest is not None
                self._manifests[plan.key] = manifest
        return [self._manifests[plan.key] for plan in plans]

    def path(self, experiment: Experiment) -> Path:
        """Directory of a run, which is made if it does not exist."""
        self.make([experiment])
        return self.directory.runs / self._plan(experiment).key

    def manifest(self, experiment: Experiment) -> Manifest:
        """Return the manifest of a run, which is made if it does not exist."""
        return self.make([experiment])[0]

    def _plan(self, experiment: Experiment) -> PlannedRun:
        key = repr(experiment)
        if key not in self._plans:
            self._plans[key] = plan_run(self._factors(experiment), experiment.seed, events=experiment.events)
        return self._plans[key]

    def _factors(self, experiment: Experiment) -> dict[str, Any]:
        costs = {
            name.removeprefix("costs.").removesuffix(".value"): value
            for name, value in experiment.machine_changes.items()
            if name.startswith("costs.") and name.endswith(".value")
        }
        others = {
            name: value
            for name, value in experiment.machine_changes.items()
            if not (name.startswith("costs.") and name.endswith(".value"))
        }
        factors: dict[str, Any] = {
            "trace": experiment.workload,
            "allocator": experiment.allocator,
            "machine": self._changed_profile(experiment.machine, others) if others else experiment.machine,
            "cpus": experiment.cpus,
            "lowmem": "+".join(experiment.lowmem) or "none",
            "loop": LOOP,
            "jitter": experiment.jitter_percent,
        }
        if experiment.operations is not None:
            factors["operations"] = experiment.operations
        factors |= {f"options.{name}": value for name, value in experiment.options.items()}
        factors |= {f"costs.{name}": value for name, value in costs.items()}
        factors |= {f"workload.{name}": value for name, value in experiment.changes.items()}
        return factors

    def _changed_profile(self, machine: str, changes: dict[str, Any]) -> str:
        """Copy a profile with changes other than costs to a directory named by a hash of its content."""
        source = profile_path(machine)
        determined = repr((source.read_text(encoding="utf-8"), changes))
        directory = self.directory.path / "profiles" / sha256(determined.encode()).hexdigest()[:12]
        directory.mkdir(parents=True, exist_ok=True)
        return str(apply_overrides(source, changes, directory))


@contextmanager
def open_runner(
    label: str, keep: Path | None = None, total: int | None = None, workers: int | None = None
) -> Iterator[Runner]:
    """Yield a runner whose progress is shown as `label`.

    Its runs are kept in `keep`, or removed when the block ends. Raises OutputError if `keep` is not a
    directory and cannot be created.
    """
    with runs_directory(keep) as directory, progress(label, total, "runs") as advance:
        yield Runner(directory, advance, workers)


def run_all(
    experiments: Sequence[Experiment], label: str = "replaying", workers: int | None = None
) -> list[Manifest]:
    """Run experiments and return their manifests; the runs themselves are removed."""
    with open_runner(label, total=len(experiments), workers=workers) as runner:
        return runner.make(experiments)
