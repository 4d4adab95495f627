"""One run of a study: what determines it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.io.toml_overrides import Changes
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
