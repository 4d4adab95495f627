"""The runs of a grid, each with a key: a hash of everything that determines the run.

The *point* of a run is a hash of its settings: content of the trace, design, options, costs, CPUs and seeds.
Its *key* also covers the sources of engine, design and generator, and the version of the run format. A run of
a different engine has the same point and a different key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import Composite, parts_of
from pipeline.allocators.api.contract import parse_options
from pipeline.allocators.registry import resolve_allocator
from pipeline.errors import UsageError, unknown_name
from pipeline.io.numbers import format_count
from pipeline.io.toml_overrides import toml_text
from pipeline.machine.chance import explain_idle_seed, list_chances
from pipeline.machine.compose import simulator_sha256
from pipeline.machine.profile import Profile, load_profile
from pipeline.runs.plan import Events, Loop, RunConfig, make_label
from pipeline.schema.manifest import RUN_FORMAT_VERSION
from pipeline.sweeps.grid import Axis, Grid, parse_lowmem
from pipeline.sweeps.trace_source import (
    TraceSource,
    find_file,
    find_workload,
    is_workload,
    trace_of_workload,
)

MOST_RUNS = 100_000
_KEY_DIGITS = 16

Varied = Mapping[str, Any]
"""Value of each factor by its name in the grid."""


@dataclass(frozen=True)
class PlannedRun:
    """A run of a sweep with all its settings.

    `factors` are the values of factors within others: options, costs and values of workloads.
    """

    key: str
    point: str
    trace: TraceSource
    label: str
    allocator: str
    options: Mapping[str, str]
    machine: str
    costs: Mapping[str, int]
    cpus: int
    seed: int
    jitter_percent: float
    loop: Loop
    lowmem: tuple[str, ...]
    events: Events
    replication: int
    factors: Varied = field(default_factory=dict)

    def config(self, sweep: Path, compiled: bool = True) -> RunConfig:
        """Return the settings to make the run in a sweep's directory."""
        return RunConfig(
            trace=self.trace.place(sweep),
            allocator=self.allocator,
            machine=self.machine,
            options=self.options,
            cpus=self.cpus,
            costs=self.costs,
            seed=self.seed,
            jitter_percent=self.jitter_percent,
            loop=self.loop,
            events=self.events,
            lowmem=self.lowmem,
            compiled=compiled,
        )

    def describe(self) -> str:
        """Describe the run in one line."""
        words = [
            f"{self.label} on {Path(self.machine).stem}, {format_count(self.cpus, 'CPU')}: {self.trace.name}"
        ]
        words += [
            f"{name.partition('.')[2]}={value}"
            for name, value in self.factors.items()
            if not name.startswith("options.")
        ]
        words += [f"{'+'.join(self.lowmem)} in low memory"] if self.lowmem else []
        words += [self.loop] if self.loop != "closed" else []
        return ", ".join([*words, f"replication {self.replication}"])


@dataclass(frozen=True)
class _Machine:
    name: str
    profile: Profile
    digest: str
    chances: bool


class Planner:
    """Plans the runs of a grid.

    Raises UsageError or InputError for unknown names and missing files, for a grid of more than `most` runs,
    and for replications that would be identical.
    """

    def __init__(self, grid: Grid, most: int = MOST_RUNS) -> None:
        # Files may have changed since the last grid was planned.
        for known in (is_workload, find_file, find_workload, _allocator, _has_option, _design, _machine):
            known.cache_clear()
        self._grid = grid
        axes = grid.axes()
        selecting = [axis for axis in axes if {"trace", "allocator"} & {*axis.factors}]
        self._others = [axis for axis in axes if axis not in selecting]
        self._selected = [_merge(selecting, values) for values in _combine(selecting)]
        self._check_options()
        self.count = grid.replications * sum(
            prod(len(axis.values) for axis in self._relevant(selected)) for selected in self._selected
        )
        if self.count > most:
            raise UsageError(
                f"the grid has {self.count:,} runs, more than {most:,}; remove values, or allow them "
                f"with --most {self.count}"
            )

    @cached_property
    def runs(self) -> list[PlannedRun]:
        """The runs in order of the grid, without duplicates."""
        found: dict[str, PlannedRun] = {}
        for selected in self._selected:
            axes = self._relevant(selected)
            for values in _combine(axes):
                varied = selected | _merge(axes, values)
                for replication in range(self._grid.replications):
                    run = plan_run(varied, self._grid.seed, replication, self._grid.events)
                    found.setdefault(run.key, run)
        return list(found.values())

    def _relevant(self, selected: Varied) -> list[Axis]:
        """Return the axes that apply to a trace and an allocator."""
        return [axis for axis in self._others if any(_applies(name, selected) for name in axis.factors)]

    def _check_options(self) -> None:
        names = {name for axis in self._others for name in axis.factors if name.startswith("options.")}
        for name in sorted(names):
            if not any(_applies(name, selected) for selected in self._selected):
                known = {
                    f"{part.name}.{option.name}"
                    for selected in self._selected
                    for part in parts_of(_allocator(selected["allocator"]))
                    for option in part.options
                }
                raise unknown_name("option", name.partition(".")[2], known)
        workloads = [
            name
            for axis in self._others
            for name in axis.factors
            if name == "operations" or name.startswith("workload.")
        ]
        if workloads and not any(is_workload(selected["trace"]) for selected in self._selected):
            raise UsageError(
                f"factor {workloads[0]} applies to generated traces only, and the grid has none; "
                "name a workload (see 'pipeline workloads')"
            )


def plan_run(
    varied: Varied, first_seed: int = 0, replication: int = 0, events: Events = "none"
) -> PlannedRun:
    """Plan one run with these values of factors. Factors that do not apply are ignored.

    `trace`, `allocator`, `machine`, `lowmem`, `loop` and `jitter` are required. Raises UsageError or
    InputError for unknown names and missing files, and for a replication identical to the first run.
    """
    inner = {name: value for name, value in varied.items() if "." in name and _applies(name, varied)}
    jitter = varied["jitter"]
    machine = _machine(varied["machine"], _group(inner, "costs", lambda v: v), varied.get("cpus"), jitter)
    given = _group(inner, "options", _option_text)
    design = _design(varied["allocator"], given, machine.profile.architecture)
    seed = first_seed + replication if machine.chances else first_seed
    if is_workload(varied["trace"]):
        settings = _group(inner, "workload", toml_text)
        operations = varied.get("operations")
        trace = trace_of_workload(varied["trace"], settings, operations, first_seed + replication)
    else:
        trace = find_file(varied["trace"])
        if replication and not machine.chances:
            profile = machine.profile
            idle = explain_idle_seed(machine.name, profile.document_costs(), profile.cpus)
            raise UsageError(f"several replications of {trace.name}: {idle}")
    lowmem = parse_lowmem(varied["lowmem"])
    loop = varied["loop"]
    if loop not in ("closed", "timed"):
        raise unknown_name("loop", loop, ("closed", "timed"))
    asked = json.dumps([trace.content, design.asked, machine.digest, seed, jitter, loop, lowmem, events])
    return PlannedRun(
        key=_digest(asked, design.sources, trace.maker, str(RUN_FORMAT_VERSION)),
        point=_digest(asked),
        trace=trace,
        label=design.label,
        allocator=design.name,
        options=design.options,
        machine=machine.name,
        costs=dict(_group(inner, "costs", lambda v: v)),
        cpus=machine.profile.cpus,
        seed=seed,
        jitter_percent=jitter,
        loop=loop,
        lowmem=lowmem,
        events=events,
        replication=replication,
        factors=inner,
    )


def _combine(axes: list[Axis]) -> Iterator[tuple[tuple[Any, ...], ...]]:
    return product(*(axis.values for axis in axes))


def _merge(axes: list[Axis], values: tuple[tuple[Any, ...], ...]) -> dict[str, Any]:
    return {
        name: value
        for axis, chosen in zip(axes, values, strict=True)
        for name, value in zip(axis.factors, chosen, strict=True)
    }


def _group(varied: Varied, group: str, text: Any) -> tuple[tuple[str, Any], ...]:
    """Return names and values of the factors of one group."""
    prefix = f"{group}."
    return tuple(
        (name.removeprefix(prefix), text(v)) for name, v in varied.items() if name.startswith(prefix)
    )


def _option_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _applies(factor: str, selected: Varied) -> bool:
    """Return whether a factor applies to the trace and the allocator."""
    group, _, name = factor.partition(".")
    if group in ("operations", "workload"):
        return is_workload(selected["trace"])
    return group != "options" or _has_option(selected["allocator"], name)


@cache
def _has_option(allocator: str, name: str) -> bool:
    owner, dot, bare = name.rpartition(".")
    return any(
        option.name == bare and (not dot or part.name == owner)
        for part in parts_of(_allocator(allocator))
        for option in part.options
    )


@dataclass(frozen=True)
class _Design:
    name: str
    label: str
    options: dict[str, str]
    asked: str
    sources: str


@cache
def _allocator(name: str) -> Allocator:
    return resolve_allocator(name)


@cache
def _design(name: str, given: tuple[tuple[str, str], ...], architecture: str) -> _Design:
    allocator = _allocator(name)
    options = parse_options(allocator.options, dict(given), allocator.name, architecture)
    kinds = allocator.kinds if isinstance(allocator, Composite) else ()
    asked = json.dumps([allocator.name, kinds, options], sort_keys=True)
    # A path must be valid in any working directory.
    place = str(Path(name).resolve()) if name.endswith(".py") and "=" not in name else name
    texts = {option: _option_text(value) for option, value in options.items()}
    return _Design(place, make_label(allocator, options), texts, asked, simulator_sha256(allocator))


@cache
def _machine(name: str, costs: tuple[tuple[str, int], ...], cpus: int | None, jitter: float) -> _Machine:
    for cost, value in costs:
        if not isinstance(value, int) or isinstance(value, bool):
            raise UsageError(f"factor costs.{cost} must be a whole number, found {value!r}")
    profile = load_profile(name).with_costs(dict(costs)).with_cpus(cpus)
    documented = profile.document_costs()
    values = {cost: documented[cost].value for cost in sorted(documented)}
    place = str(Path(name).resolve()) if name.endswith(".toml") else name
    digest = _digest(json.dumps([values, profile.cpus]))
    return _Machine(place, profile, digest, bool(list_chances(documented, profile.cpus, jitter)))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_KEY_DIGITS]
