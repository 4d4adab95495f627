"""Resolving the settings of a run to the things that they name and to the run's identity."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import Composite
from pipeline.allocators.api.contract import Value, parse_options
from pipeline.allocators.registry import load_allocator, resolve_allocator, shipped_allocators
from pipeline.errors import UsageError, unknown_name
from pipeline.io.files import sha256_of
from pipeline.machine.compose import simulator_sha256
from pipeline.machine.profile import Profile, load_profile
from pipeline.schema.manifest import RUN_FORMAT_VERSION, Events
from pipeline.schema.names import KINDS
from pipeline.trace.names import trace_path
from pipeline.trace.reader import Trace, open_trace

Loop = Literal["closed", "timed"]


@dataclass(frozen=True)
class RunConfig:
    """The settings of a run.

    `trace`: path of a trace, or name of a shipped recording.
    `allocator`: name or .py file of a design, or several designs by kind of operation, such as
    "page_fault=atomic,default=global_pool".
    `machine`: name or .toml file of a machine profile.
    `options`: options of the design as text. If several designs have an option, its name includes the
    design's ("global_pool.slots").
    `cpus`: number of CPUs; the default is the profile's.
    `costs`: costs by name that replace the profile's, in the units of the profile.
    `seed`: seed of random draws, 0 to 2**63 - 1: unfair arbitration, device interrupts and jitter.
    `jitter_percent`: 0 to 100. Each think and wait time of the trace is scaled by a factor that is uniform
    within 1 ± this percentage, the same for every design.
    `loop`: "closed" (the think and wait time of an operation starts when the task's previous one is done) or
    "timed" (it also does not start before the recorded time).
    `events`: "full" (the log), "stretches" (also the activity of each CPU over time) or "none" (totals only).
    `lowmem`: kinds of operations whose pages are in low memory. They are permanently mapped and do not
    involve the design.
    `output`: directory for the run's directory, whose name is a hash of the inputs.
    `command`: command line for the manifest; the default is an equivalent one.
    `compiled`: whether to compile the simulator. Plain Python runs the same source about 100 times slower.
    `fresh`: repeat the run even if it exists.
    """

    trace: str | Path
    allocator: str
    machine: str
    options: Mapping[str, str] | None = None
    cpus: int | None = None
    costs: Mapping[str, int] | None = None
    seed: int = 0
    jitter_percent: float = 0.0
    loop: Loop = "closed"
    events: Events = "full"
    lowmem: Collection[str] = ()
    output: Path = Path("runs")
    command: str | None = None
    compiled: bool = True
    fresh: bool = False


@dataclass(frozen=True)
class Plan:
    """Everything that determines a run's result: its settings, resolved and checked."""

    config: RunConfig
    trace: Trace
    trace_sha256: str
    allocator: Allocator
    options: dict[str, Value]
    profile: Profile

    @property
    def lowmem(self) -> tuple[str, ...]:
        """Kinds whose pages are in low memory, in the order of KINDS."""
        return tuple(kind for kind in KINDS if kind in self.config.lowmem)

    def identity(self) -> str:
        """Return the name of the run: the allocator's name and a hash of the run's inputs."""
        facts = {
            "format": RUN_FORMAT_VERSION,
            "trace": self.trace_sha256,
            "simulator": simulator_sha256(self.allocator),
            "options": self.options,
            "machine": {name: cost.value for name, cost in self.profile.document_costs().items()},
            "cpus": self.profile.cpus,
            "seed": self.config.seed,
            "jitter_percent": self.config.jitter_percent,
            "loop": self.config.loop,
            "events": self.config.events,
            "lowmem": self.lowmem,
        }
        if isinstance(self.allocator, Composite):
            facts["kinds"] = self.allocator.kinds
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return f"{self.allocator.name}-{digest[:12]}"

    def parts(self) -> list[tuple[Allocator, dict[str, Value]]]:
        """Return each allocator of the run with its options."""
        return _parts(self.allocator, self.options)

    def label(self) -> str:
        """Return a short name for charts: the allocator with the options that differ from its defaults."""
        return make_label(self.allocator, self.options)

    def command(self) -> str:
        """Return the command line for the manifest."""
        config = self.config
        if config.command is not None:
            return config.command
        words = ["pipeline", "replay", str(self.trace.path), "--allocator", config.allocator]
        for name, value in self.options.items():
            words += ["--set", f"{name}={_text(value)}"]
        words += ["--machine", config.machine, "--cpus", str(self.profile.cpus)]
        words += [word for cost in (config.costs or {}).items() for word in ("--cost", "{}={}".format(*cost))]
        words += ["--seed", str(config.seed)]
        if config.jitter_percent:
            words += ["--jitter", f"{config.jitter_percent!r}%"]
        words += [word for kind in self.lowmem for word in ("--lowmem", kind)]
        words += ["--loop", self.config.loop, "--events", self.config.events, "-o", str(config.output)]
        return shlex.join(words)


def make_plan(config: RunConfig) -> Plan:
    """Resolve the settings of a run. Raises PipelineError for invalid settings."""
    for what, given, known in (
        ("loop", [config.loop], get_args(Loop)),
        ("kind of log", [config.events], get_args(Events)),
        ("kind of operation", config.lowmem, KINDS),
    ):
        for name in given:
            if name not in known:
                raise unknown_name(what, name, known)
    if not 0 <= config.seed < 1 << 63:
        raise UsageError(f"seed must be 0..{(1 << 63) - 1}, found {config.seed}")
    if not 0 <= config.jitter_percent <= 100:
        raise UsageError(f"jitter must be 0 to 100 %, found {config.jitter_percent}")
    allocator = resolve_allocator(config.allocator)
    trace = open_trace(trace_path(config.trace))
    if wrong := describe_unmappable(trace, allocator):
        raise UsageError(wrong)
    profile = load_profile(config.machine).with_costs(config.costs or {}).with_cpus(config.cpus)
    return Plan(
        config,
        trace,
        sha256_of(trace.path),
        allocator,
        parse_options(allocator.options, dict(config.options or {}), allocator.name, profile.architecture),
        profile,
    )


def describe_unmappable(trace: Trace, allocator: Allocator) -> str:
    """Say why a design cannot map what a trace has, or return "" if it can."""
    if allocator.maps_areas:
        return ""
    if trace.has_parts:
        what = "mappings that other rows unmap"
    elif (longest := trace.maximum("pages")) > 1:
        what = f"mappings of up to {longest:,} pages"
    else:
        return ""
    able = [name for name in shipped_allocators() if load_allocator(name).maps_areas]
    return f"{allocator.name} maps single pages, but {trace.path} has {what}; use {', '.join(able)}"


def make_label(allocator: Allocator, options: dict[str, Value]) -> str:
    """Return a short name for charts: the allocator with the options that differ from its defaults."""
    labels = [_label(part, own) for part, own in _parts(allocator, options)]
    return allocator.describe(labels) if isinstance(allocator, Composite) else labels[0]


def _parts(allocator: Allocator, options: dict[str, Value]) -> list[tuple[Allocator, dict[str, Value]]]:
    if isinstance(allocator, Composite):
        return [(part, allocator.options_of(k, options)) for k, part in enumerate(allocator.allocators)]
    return [(allocator, options)]


def _label(allocator: Allocator, options: dict[str, Value]) -> str:
    changes = [
        f"{option.name}={_text(options[option.name])}"
        for option in allocator.options
        if options[option.name] != option.default
    ]
    return allocator.name + (f" ({', '.join(changes)})" if changes else "")


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
