"""Arguments of the command line, and progress on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.allocators.api.composite import parts_of
from pipeline.allocators.registry import resolve_allocator
from pipeline.compare.making import Conditions, parse_design
from pipeline.compare.sides import jitter_percent
from pipeline.errors import UsageError, unknown_name
from pipeline.io.key_values import key_values
from pipeline.io.numbers import format_count
from pipeline.io.progress import progress
from pipeline.sensitivity.sensitivity import OPERATIONS, Sensitivity, find_sensitivity
from pipeline.sweeps.maker import Made
from pipeline.sweeps.plan import PlannedRun
from pipeline.sweeps.sweep import Means, Observer
from pipeline.sweeps.trace_source import is_workload


def ask(
    trace: str,
    machine: str,
    allocators: Sequence[str],
    *,
    settings: Sequence[str],
    metric: str,
    costs: Sequence[str],
    draws: int,
    cpus: int | None,
    operations: int | None,
    jitter: str | None,
    seed: int,
    output: Path | None,
    means: Means,
) -> Sensitivity:
    """Run the analysis with the arguments of the command, with progress on standard error."""
    designs = apply_settings(split_designs(allocators), settings)
    if operations is None and is_workload(trace):
        operations = OPERATIONS
    conditions = Conditions(
        trace, machine, draws, cpus, operations, jitter_percent(jitter, trace, draws), seed
    )
    named = [name.strip() for text in costs for name in text.split(",") if name.strip()]
    if costs and not named:
        raise UsageError(
            f"--cost: expected names of costs, found '{', '.join(costs)}'; omit it to vary all costs"
        )
    return find_sensitivity(designs, conditions, metric, named, draws, output, means, _tell)


def split_designs(texts: Sequence[str]) -> list[str]:
    """Parse comma-separated names of designs; a design by kind of operation may contain commas."""
    found: list[str] = []
    for text in texts:
        composed = "=" in text.partition(":")[0]
        found += [text] if composed else [word for word in text.split(",") if word]
    return found


def apply_settings(designs: Sequence[str], settings: Sequence[str]) -> list[str]:
    """Apply OPTION=VALUE to all designs with that option, and DESIGN.OPTION=VALUE to one design.

    Raises UsageError for an option that no design has.
    """
    found = list(designs)
    for key, value in key_values(settings, "--set").items():
        owner, _, option = key.rpartition(".")
        having = [at for at, design in enumerate(designs) if _has(parse_design(design)[0], owner, option)]
        if not having:
            known = {
                f"{part.name}.{each.name}"
                for design in designs
                for part in parts_of(resolve_allocator(parse_design(design)[0]))
                for each in part.options
            }
            raise unknown_name("option", key, known)
        for at in having:
            found[at] += f":{option}={value}"
    return found


def _has(design: str, owner: str, option: str) -> bool:
    parts = parts_of(resolve_allocator(design))
    return any(
        part.name == (owner or part.name) and each.name == option for part in parts for each in part.options
    )


@contextmanager
def _tell(phase: str) -> Iterator[Observer]:
    """Print a line for a phase, and on a terminal a progress bar."""
    with progress(phase, None, "runs") as advance:

        def plan(runs: int, there: int, todo: int) -> None:
            known = f", {there:,} of them exist" if there else ""
            _say(f"{phase}: {format_count(runs, 'run')}{known}")

        def made(_run: PlannedRun, _made: Made) -> None:
            advance(1)

        yield Observer(
            plan, lambda name: _say(f"compiling {name} (only before its first run) ..."), made=made
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
