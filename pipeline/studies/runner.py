"""Making the runs of studies: each once, kept by what determines it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from pipeline.io.files import output_error
from pipeline.io.progress import progress
from pipeline.io.toml_overrides import apply_overrides, toml_text, toml_value
from pipeline.machine.profile import profile_path
from pipeline.runs.execute import RunResult, replay
from pipeline.runs.plan import trace_path
from pipeline.schema.run import Manifest
from pipeline.studies.experiment import LOOP, Experiment
from pipeline.studies.point import Point
from pipeline.workload.generate import generate
from pipeline.workload.read_spec import workload_path

LOWER = "direct_map"
"""The bound for which mapping costs nothing."""


class Runner:
    """Makes runs inside one directory, where their specs, profiles and traces stay too.

    `advance` is called with 1 for each run that is made or found there.
    """

    def __init__(self, directory: Path, advance: Callable[[int], None] = lambda _: None) -> None:
        self.directory = directory
        self._advance = advance
        self._results: dict[str, RunResult] = {}

    def run(self, experiment: Experiment) -> RunResult:
        """Make a run, or find it."""
        key = repr(experiment)
        if key not in self._results:
            self._results[key] = replay(
                self._trace(experiment),
                allocator=experiment.allocator,
                machine=self._machine(experiment),
                options={name: str(value) for name, value in experiment.options.items()},
                cpus=experiment.cpus,
                seed=experiment.seed,
                loop=LOOP,
                events=experiment.events,
                lowmem=experiment.lowmem,
                output=self.directory / "runs",
            )
            self._advance(1)
        return self._results[key]

    def manifest(self, experiment: Experiment) -> Manifest:
        """Make a run, or find it, and return what came out."""
        return self.run(experiment).manifest

    def point(self, experiment: Experiment, case: str = "") -> Point:
        """Figures of a run alone."""
        return Point.of(self.manifest(experiment), case=case)

    def bounded_point(self, experiment: Experiment, case: str = "") -> Point:
        """Figures of a run, beside those of `LOWER` with the same trace and prices."""
        bound = replace(experiment, allocator=LOWER, options={}, events="none")
        return Point.of(self.manifest(experiment), self.manifest(bound).totals, case)

    def _trace(self, experiment: Experiment) -> Path:
        """Trace of an experiment, in a directory named by the spec, the number of operations and the seed."""
        if experiment.recorded:
            return trace_path(experiment.workload)
        source = workload_path(experiment.workload)
        directory = self._directory(source, experiment.changes, experiment.operations, experiment.seed)
        trace = directory / f"{source.stem}.parquet"
        if not trace.exists():
            # As the command line gives them, so that the spec is the same to the letter.
            changes = {key: toml_value(toml_text(value)) for key, value in experiment.changes.items()}
            spec = apply_overrides(source, changes, directory)
            generate(spec, trace, operations=experiment.operations, seed=experiment.seed)
        return trace

    def _machine(self, experiment: Experiment) -> str:
        """Name of the profile, or the path of a copy with the experiment's changes."""
        if not experiment.machine_changes:
            return experiment.machine
        source = profile_path(experiment.machine)
        directory = self._directory(source, experiment.machine_changes)
        return str(apply_overrides(source, experiment.machine_changes, directory))

    def _directory(self, source: Path, *determined_by: object) -> Path:
        determinants = repr((source.read_text(encoding="utf-8"), determined_by))
        name = f"{source.stem}-{sha256(determinants.encode()).hexdigest()[:12]}"
        directory = self.directory / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory


@contextmanager
def open_runner(label: str, keep: Path | None = None) -> Iterator[Runner]:
    """Yield a runner whose progress is shown as `label`.

    Its files stay in `keep`, or are removed when the block ends. Raises OutputError if `keep` is no directory
    and cannot be made one.
    """
    with tempfile.TemporaryDirectory() as temporary, progress(label, None, "runs") as advance:
        directory = keep or Path(temporary)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(directory, error) from error
        yield Runner(directory, advance)


def run_once(experiment: Experiment) -> Manifest:
    """Make a run of which nothing is kept but what came out."""
    with tempfile.TemporaryDirectory() as directory:
        return Runner(Path(directory)).manifest(experiment)
