"""One run of a study: what determines it, and the commands that make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.io.toml_overrides import Changes, toml_text
from pipeline.machine.profile import load_profile
from pipeline.schema.run import Events
from pipeline.workload.read_spec import read_workload

SEED = 0
LOOP = "closed"


@dataclass(frozen=True)
class Experiment:
    """A workload through an allocator on a machine, in a closed loop.

    `workload` and `machine` are names or .toml paths; with `recorded`, `workload` is a shipped recording,
    which is replayed as it is, but for `jitter_percent`, by which think and wait times are scaled at
    random. `changes` and `machine_changes` are values of the two files by dotted key. `operations` None: as
    many as the workload says; `cpus` None: the profile's own. Pages of the kinds `lowmem` need no mapping.
    `seed` is that of the workload's draws and of lock arbitration.
    """

    workload: str
    allocator: str
    machine: str
    operations: int | None = None
    changes: Changes = field(default_factory=dict)
    options: Mapping[str, int | str] = field(default_factory=dict)
    cpus: int | None = None
    machine_changes: Changes = field(default_factory=dict)
    lowmem: tuple[str, ...] = ()
    seed: int = SEED
    events: Events = "none"
    recorded: bool = False
    jitter_percent: float = 0.0

    def commands(self) -> tuple[str, ...]:
        """Command lines that make this run; a changed profile is named as `Runner` keeps it."""
        trace = self.workload if self.recorded else f"{self.workload}.parquet"
        generating = ["pipeline", "generate", self.workload]
        for key, value in self.changes.items():
            generating += ["--set", f"{key}={toml_text(value)}"]
        if self.operations is not None:
            generating += ["--ops", str(self.operations)]
        generating += ["--seed", str(self.seed), "-o", trace]
        replaying = ["pipeline", "replay", trace, "--allocator", self.allocator]
        for name, option in self.options.items():
            replaying += ["--set", f"{name}={option}"]
        replaying += ["--machine", f"{self.machine}.toml" if self.machine_changes else self.machine]
        if self.cpus is not None:
            replaying += ["--cpus", str(self.cpus)]
        for kind in self.lowmem:
            replaying += ["--lowmem", kind]
        replaying += ["--seed", str(self.seed), "--loop", LOOP]
        commands = [replaying] if self.recorded else [generating, replaying]
        return tuple(shlex.join(command) for command in commands)

    def conditions(self) -> str:
        """Workload, profile, loop and seed, in words."""
        changed = ", ".join(f"{key} = {toml_text(value)}" for key, value in self.changes.items())
        return (
            f"Workload {self.workload}{' with ' if changed else ''}{changed}; profile "
            f"{describe_profile_sources(self.machine)}; {LOOP} loop, seed {self.seed}"
        )


def change_costs(**values: int) -> Changes:
    """Changes of a profile that give costs by name these values."""
    return {f"costs.{name}.value": value for name, value in values.items()}


def scale_tasks(workload: str, machine: str, cpus: int) -> Changes:
    """Return the change that gives a workload as many tasks per CPU on `cpus` CPUs as on the machine's own.

    At least one task.
    """
    tasks = read_workload(workload).workload.tasks
    return {"tasks": max(round(tasks * cpus / load_profile(machine).cpus), 1)}


def assumed_costs(machine: str) -> list[str]:
    """Names of a profile's costs that nobody measured."""
    return load_profile(machine).assumed


def describe_profile_sources(machine: str) -> str:
    """A profile's name, and how many of its costs are assumed."""
    costs = len(load_profile(machine).costs)
    return f"{machine} ({len(assumed_costs(machine))} of its {costs} costs are assumed)"


def describe_costs(machine: str, *names: str) -> str:
    """Value and source of some of a profile's costs, in words."""
    costs = load_profile(machine).costs
    described = (f"`{name}` {costs[name].value:,} ({costs[name].source})" for name in names)
    return f"on {machine} {'; '.join(described)}"
