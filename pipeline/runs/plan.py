"""From the settings of a run, as a user gives them, to what they name and to the run's identity."""

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
from pipeline.allocators.registry import resolve_allocator
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

    `trace` is a path or the name of a shipped recording; `allocator` an allocator's name or .py file, or
    several by kind of operation ("page_fault=atomic,default=global_pool"); `machine` a profile's name or
    .toml file, with `cpus` CPUs if given and `costs`, by name, in place of its own. `options` are the
    allocator's as text, with its name ("global_pool.slots") where several have one. `seed` decides what is
    left to chance: unfair arbitration, device interrupts and jitter. With `jitter_percent`, 0 to 100, each
    think and wait time of the trace is scaled by a factor that is uniform within 1 +- so many per cent, the
    same for every allocator. `loop` is "closed" (an operation starts its think and wait time after the task's
    previous one was done) or "timed" (not before its recorded time); `events` is "full", "stretches" (the
    log, and what each CPU did from when to when) or "none" (totals only). Pages of the kinds `lowmem` lie in
    low memory: their mapping is for good, and the allocator is not asked.

    The run becomes a directory of `output`, named by what determines it; if it is there already, it is
    returned as it is unless `fresh`. `command` is what its manifest gives as the command line, one that does
    the same if left out. Not `compiled`, the same source runs as plain Python, some hundred times slower.
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
    """Everything that determines a run's result: what its settings name, found, read and checked."""

    config: RunConfig
    trace: Trace
    trace_sha256: str
    allocator: Allocator
    options: dict[str, Value]
    profile: Profile

    @property
    def lowmem(self) -> tuple[str, ...]:
        """Kinds whose pages lie in low memory, in the order of KINDS."""
        return tuple(kind for kind in KINDS if kind in self.config.lowmem)

    def identity(self) -> str:
        """Name of the run: the allocator's name and a hash of what determines the result."""
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
        """Each allocator of the run with its options."""
        return _parts(self.allocator, self.options)

    def label(self) -> str:
        """Short name for charts: the allocator with the options that are not its defaults."""
        return make_label(self.allocator, self.options)

    def command(self) -> str:
        """Return the command line that the manifest gives."""
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
    """Resolve the settings of a run. Raises PipelineError for what the user can mend."""
    for what, given, known in (
        ("loop", [config.loop], get_args(Loop)),
        ("kind of log", [config.events], get_args(Events)),
        ("kind of operation", config.lowmem, KINDS),
    ):
        for name in given:
            if name not in known:
                raise unknown_name(what, name, known)
    if not 0 <= config.seed < 1 << 63:
        raise UsageError(f"seed wants 0..{(1 << 63) - 1}, found {config.seed}")
    if not 0 <= config.jitter_percent <= 100:
        raise UsageError(f"jitter wants 0 to 100 %, found {config.jitter_percent}")
    allocator = resolve_allocator(config.allocator)
    trace = open_trace(trace_path(config.trace))
    profile = load_profile(config.machine).with_costs(config.costs or {}).with_cpus(config.cpus)
    return Plan(
        config,
        trace,
        sha256_of(trace.path),
        allocator,
        parse_options(allocator.options, dict(config.options or {}), allocator.name, profile.architecture),
        profile,
    )


def make_label(allocator: Allocator, options: dict[str, Value]) -> str:
    """Short name for charts: the allocator with those of its options that are not its defaults."""
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
