"""Making the runs of two designs as a sweep, with the same traces and seeds for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.allocators.api.contract import parse_options
from pipeline.allocators.registry import resolve_allocator
from pipeline.errors import InputError, Interrupted, UsageError
from pipeline.io.scratch import ScratchDirectory
from pipeline.runs.options import note_idle_options
from pipeline.runs.store import read_finished_manifest
from pipeline.schema.manifest import Manifest
from pipeline.sweeps.directory import SweepDirectory, create_sweep
from pipeline.sweeps.plan import PlannedRun, plan_run
from pipeline.sweeps.sweep import Means, Observer, make_runs
from pipeline.sweeps.trace_source import is_workload


@dataclass(frozen=True)
class Conditions:
    """All settings except the design: trace or workload, machine, and number of replications."""

    trace: str
    machine: str
    replications: int
    cpus: int | None = None
    operations: int | None = None
    jitter_percent: float = 0.0
    seed: int = 0
    costs: Mapping[str, int] | None = None


def parse_design(text: str) -> tuple[str, dict[str, Any]]:
    """Parse NAME or NAME:OPTION=VALUE:costs.COST=VALUE:machine=PROFILE; return the name and the factors.

    Raises UsageError for an option without a value and for a cost that is not a whole number.
    """
    name, *words = text.split(":")
    factors: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"design '{text}': expected NAME:OPTION=VALUE, found '{word}'")
        if key.startswith("costs.") and not value.isdecimal():
            raise UsageError(f"design '{text}': cost {key[6:]} must be a whole number, found '{value}'")
        if key.startswith("costs."):
            factors[key] = int(value)
        else:
            factors[key if key == "machine" else f"options.{key}"] = value
    return name, factors


@contextmanager
def runs_directory(output: Path | None) -> Iterator[SweepDirectory]:
    """Yield the directory of a sweep: `output`, or a temporary directory that is removed afterwards."""
    if output is not None:
        yield create_sweep(output)
        return
    with ScratchDirectory() as name:
        try:
            yield create_sweep(Path(name) / "sweep")
        except Interrupted:
            raise Interrupted("interrupted; nothing was kept") from None


def make(
    designs: Sequence[str],
    conditions: Conditions,
    output: Path | None = None,
    means: Means | None = None,
    observer: Observer | None = None,
) -> list[list[Manifest]]:
    """Make the runs of each design, and keep them if `output` is given.

    Raises the errors of a sweep for unknown names, and InputError for a run that fails.
    """
    planned = [
        [plan_design(design, conditions, replication) for replication in range(conditions.replications)]
        for design in designs
    ]
    observer = observer or Observer()
    for note in dict.fromkeys(note for some in planned for note in _note_idle_options(some[0])):
        observer.note(note)
    with runs_directory(output) as directory:
        runs = list({run.key: run for some in planned for run in some}.values())
        result = make_runs(directory, runs, means or Means(), observer=observer)
        found = [[read_finished_manifest(directory.runs / run.key) for run in some] for some in planned]
    missing = sum(manifest is None for some in found for manifest in some)
    if missing:
        raise InputError(
            f"{missing} of {result.runs} runs failed; keep them with -o DIR and see why with 'pipeline sweep "
            "status DIR'"
        )
    return [[manifest for manifest in some if manifest is not None] for some in found]


def _note_idle_options(run: PlannedRun) -> list[str]:
    allocator = resolve_allocator(run.allocator)
    options = parse_options(allocator.options, dict(run.options), allocator.name)
    given = [name.removeprefix("options.") for name in run.factors if name.startswith("options.")]
    return note_idle_options(allocator, options, given, run.cpus)


def plan_design(design: str, conditions: Conditions, replication: int) -> PlannedRun:
    """Plan one replication of a design. Raises UsageError and InputError for unknown names and files."""
    return plan_run(vary_design(design, conditions), conditions.seed, replication)


def vary_design(design: str, conditions: Conditions) -> dict[str, Any]:
    """Return the factors of a design's runs for `plan_run`. Raises the errors of `plan_design`."""
    name, factors = parse_design(design)
    options = {key.partition(".")[2]: str(v) for key, v in factors.items() if key.startswith("options.")}
    # A sweep ignores options that a design does not have. Here they were given for this design.
    allocator = resolve_allocator(name)
    parse_options(allocator.options, options, allocator.name)
    if conditions.operations is not None and not is_workload(conditions.trace):
        raise UsageError(f"--ops is supported for workloads only, and {conditions.trace} is a recording")
    varied: dict[str, Any] = {
        "trace": conditions.trace, "allocator": name, "machine": conditions.machine,
        "cpus": conditions.cpus, "lowmem": "none", "loop": "closed", "jitter": conditions.jitter_percent,
    }  # fmt: skip
    if conditions.operations is not None:
        varied["operations"] = conditions.operations
    varied |= {f"costs.{key}": value for key, value in (conditions.costs or {}).items()}
    varied |= factors
    return varied
