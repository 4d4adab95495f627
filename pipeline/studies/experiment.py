"""The configuration of one run of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.io.toml_overrides import Changes
from pipeline.machine.profile import load_profile
from pipeline.schema.manifest import Events
from pipeline.workload.read_spec import read_workload

SEED = 0
LOOP = "closed"


@dataclass(frozen=True)
class Experiment:
    """A closed-loop run of a workload with an allocator on a machine.

    `workload` and `machine` are names or .toml paths. With `recorded`, `workload` is a shipped recording,
    which is replayed unchanged except that think and wait times are scaled at random by `jitter_percent`.
    `changes` and `machine_changes` are values of the two files by dotted key. The defaults of `operations`
    and `cpus` are the workload's and the profile's. Pages of the kinds `lowmem` need no mapping. `seed`
    is the seed of the workload's draws and of lock arbitration.
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


def change_costs(**values: int) -> Changes:
    """Return the changes that set these costs of a profile."""
    return {f"costs.{name}.value": value for name, value in values.items()}


def scale_tasks(workload: str, machine: str, cpus: int) -> Changes:
    """Return the change that keeps the tasks per CPU of a workload for the machine on `cpus` CPUs.

    There is at least one task.
    """
    tasks = read_workload(workload).workload.tasks
    return {"tasks": max(round(tasks * cpus / load_profile(machine).cpus), 1)}


def assumed_costs(machine: str) -> list[str]:
    """Names of a profile's assumed costs."""
    return load_profile(machine).assumed
