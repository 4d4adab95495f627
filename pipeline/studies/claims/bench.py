"""One run of a claim: what determines it, the commands that make it again, and making it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from pipeline.io.toml_overrides import Changes, changed, toml_text, toml_value
from pipeline.machine.profile import load_profile, profile_path
from pipeline.runs.execute import RunResult, replay
from pipeline.runs.plan import trace_path
from pipeline.schema.run import Manifest
from pipeline.studies.lockmeter.prediction import LOOP
from pipeline.workload.generate import generate
from pipeline.workload.read_spec import read_workload, workload_path

SEED = 0


@dataclass(frozen=True)
class Experiment:
    """A workload through a design on a machine, in a closed loop with seed 0.

    `changes` are values of the workload by dotted key, `options` the design's, `costs` prices of the profile
    that are replaced. `cpus` None: the profile's own.
    """

    workload: str
    allocator: str
    machine: str
    operations: int
    changes: Changes = field(default_factory=dict)
    options: Mapping[str, int | str] = field(default_factory=dict)
    cpus: int | None = None
    costs: Mapping[str, int] = field(default_factory=dict)
    events: str = "none"
    recorded: bool = False

    def commands(self) -> tuple[str, ...]:
        """Command lines that make this run; with changed prices, the profile is named as `Bench` keeps it."""
        trace = self.workload if self.recorded else f"{self.workload}.parquet"
        generating = ["pipeline", "generate", self.workload]
        for key, value in self.changes.items():
            generating += ["--set", f"{key}={toml_text(value)}"]
        generating += ["--ops", str(self.operations), "--seed", str(SEED), "-o", trace]
        replaying = ["pipeline", "replay", trace, "--allocator", self.allocator]
        for name, option in self.options.items():
            replaying += ["--set", f"{name}={option}"]
        replaying += ["--machine", f"{self.machine}.toml" if self.costs else self.machine]
        if self.cpus is not None:
            replaying += ["--cpus", str(self.cpus)]
        replaying += ["--seed", str(SEED), "--loop", LOOP]
        commands = [replaying] if self.recorded else [generating, replaying]
        return tuple(shlex.join(command) for command in commands)

    def conditions(self) -> str:
        """Workload, profile, loop and seed, in words."""
        profile = load_profile(self.machine)
        assumed = sum(cost.source.startswith("assumed") for cost in profile.costs.values())
        return (
            f"Workload {self.workload}{_with(self.changes)}; profile {self.machine} ({assumed} of its "
            f"{len(profile.costs)} costs are assumed); {LOOP} loop, seed {SEED}"
        )


def _with(changes: Changes) -> str:
    return (
        " with " + ", ".join(f"{key} = {toml_text(value)}" for key, value in changes.items())
        if changes
        else ""
    )


def tasks_per_cpu(workload: str, machine: str, cpus: int) -> Changes:
    """Return the change that gives a workload as many tasks per CPU on `cpus` CPUs as on the machine's own.

    At least one task.
    """
    tasks = read_workload(workload).workload.tasks
    return {"tasks": max(round(tasks * cpus / load_profile(machine).cpus), 1)}


def prices(machine: str, *names: str) -> str:
    """Value and source of some of a profile's costs, in words."""
    profile = load_profile(machine)
    said = "; ".join(
        f"`{name}` {profile.costs[name].value:,} ({profile.costs[name].source})" for name in names
    )
    return f"on {machine} {said}"


class Bench:
    """Makes the runs of claims inside one directory, each once; traces and runs stay there."""

    def __init__(self, directory: Path, done: Callable[[int], None] = lambda _: None) -> None:
        self.directory = directory
        self._done = done

    def run(self, experiment: Experiment) -> RunResult:
        """Make a run, or find it."""
        result = replay(
            self._trace(experiment),
            allocator=experiment.allocator,
            machine=self._machine(experiment),
            options={name: str(value) for name, value in experiment.options.items()},
            cpus=experiment.cpus,
            seed=SEED,
            loop=LOOP,
            events=experiment.events,
            output=self.directory / "runs",
        )
        self._done(1)
        return result

    def manifest(self, experiment: Experiment) -> Manifest:
        """Make a run, or find it, and return what came out."""
        return self.run(experiment).manifest

    def _trace(self, experiment: Experiment) -> Path:
        """Trace of an experiment, in a directory named by the spec and the number of operations."""
        if experiment.recorded:
            return trace_path(experiment.workload)
        source = workload_path(experiment.workload)
        directory = self._directory(
            experiment.workload, source.read_text(encoding="utf-8"), experiment.changes, experiment.operations
        )
        trace = directory / f"{experiment.workload}.parquet"
        if not trace.exists():
            # As the command line gives them, so that the spec is the same to the letter.
            changes = {key: toml_value(toml_text(value)) for key, value in experiment.changes.items()}
            spec = changed(source, changes, directory)
            generate(spec, trace, operations=experiment.operations, seed=SEED)
        return trace

    def _machine(self, experiment: Experiment) -> str:
        """Name of the profile, or the path of a copy with the experiment's prices."""
        if not experiment.costs:
            return experiment.machine
        source = profile_path(experiment.machine)
        changes = {f"costs.{name}.value": value for name, value in experiment.costs.items()}
        directory = self._directory(experiment.machine, source.read_text(encoding="utf-8"), changes)
        return str(changed(source, changes, directory))

    def _directory(self, name: str, *determined_by: object) -> Path:
        directory = self.directory / f"{name}-{sha256(repr(determined_by).encode()).hexdigest()[:12]}"
        directory.mkdir(parents=True, exist_ok=True)
        return directory
