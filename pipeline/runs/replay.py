"""Replaying a trace through a design on a machine: from three names to a finished run directory."""

from __future__ import annotations

import hashlib
import json
import platform
import resource
import shlex
import sys
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import Composite
from pipeline.allocators.api.contract import Shape, Value, parse_options
from pipeline.allocators.registry import resolve_allocator
from pipeline.errors import InputError, Interrupted, UsageError, unknown_name
from pipeline.io.files import complete_directory, sha256_of
from pipeline.io.progress import progress
from pipeline.io.resources import shipped_files
from pipeline.jit.tables import Tables
from pipeline.machine.compose import Simulator, compose, is_compiled_already, simulator_sha256
from pipeline.machine.engine import records
from pipeline.machine.machine_state import RunSettings, build_allocator, build_machine_state, look
from pipeline.machine.profile import Profile, load_profile
from pipeline.runs.allocator_errors import allocator_errors, never_done
from pipeline.runs.feed import CHUNK_ROWS, Feed, take_census
from pipeline.runs.log_writer import EventLog
from pipeline.runs.totals import deadlock, findings_met, fingerprint_of, totals_of
from pipeline.schema.run import (
    EVENTS_FILE,
    EVENTS_SCHEMA,
    MANIFEST_FILE,
    OPERATIONS_FILE,
    OPERATIONS_SCHEMA,
    RUN_FORMAT_VERSION,
    AllocatorPart,
    AllocatorReference,
    Execution,
    Finding,
    MachineReference,
    Manifest,
    TraceReference,
)
from pipeline.schema.trace import KINDS
from pipeline.trace.reader import Trace, open_trace

LOOPS = ("closed", "timed")
EVENTS = ("full", "none")
# Events simulated between two looks at the keyboard and the progress bar: some tens of milliseconds.
_BUDGET_COMPILED = 200_000
_BUDGET_PLAIN = 2_000
# So many budgets without a completed operation, some ten seconds, are taken for a design that never ends one.
_STUCK_BUDGETS = 200
_PAGE_BYTES = 4
_PACKAGES = ("numpy", "numba", "pyarrow")


@dataclass(frozen=True)
class RunResult:
    """A finished run: where it is, its manifest, and whether it was there already."""

    path: Path
    manifest: Manifest
    cached: bool


@dataclass(frozen=True)
class _Plan:
    """Everything that determines a run's result, resolved; `allocator` and `profile` as they were given."""

    allocator: str
    profile: str

    trace: Trace
    trace_sha256: str
    loaded: Allocator
    options: dict[str, Value]
    machine: Profile
    seed: int
    loop: Literal["closed", "timed"]
    events: Literal["full", "none"]
    lowmem: tuple[str, ...]

    def identity(self) -> str:
        """Name of the run: the design's name and a hash of what determines the result."""
        facts = {
            "format": RUN_FORMAT_VERSION,
            "trace": self.trace_sha256,
            "simulator": simulator_sha256(self.loaded),
            "options": self.options,
            "machine": {name: cost.value for name, cost in self.machine.documented().items()},
            "cpus": self.machine.cpus,
            "seed": self.seed,
            "loop": self.loop,
            "events": self.events,
            "lowmem": self.lowmem,
        }
        if isinstance(self.loaded, Composite):
            facts["kinds"] = self.loaded.kinds
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return f"{self.loaded.name}-{digest[:12]}"

    def label(self) -> str:
        """Short name for charts: the design with the options that are not its defaults."""
        labels = [_label(loaded, options) for loaded, options in _parts(self)]
        return self.loaded.read(labels) if isinstance(self.loaded, Composite) else labels[0]

    def command(self, output: Path) -> str:
        """Return the command line that does the same."""
        words = ["pipeline", "replay", str(self.trace.path), "--allocator", self.allocator]
        for name, value in self.options.items():
            words += ["--set", f"{name}={_text(value)}"]
        words += ["--machine", self.profile, "--cpus", str(self.machine.cpus), "--seed", str(self.seed)]
        words += [word for kind in self.lowmem for word in ("--lowmem", kind)]
        words += ["--loop", self.loop, "--events", self.events, "-o", str(output)]
        return shlex.join(words)


def _parts(plan: _Plan) -> list[tuple[Allocator, dict[str, Value]]]:
    """Each design with its options."""
    loaded = plan.loaded
    if isinstance(loaded, Composite):
        return [(part, loaded.options_of(k, plan.options)) for k, part in enumerate(loaded.allocators)]
    return [(loaded, plan.options)]


def _label(loaded: Allocator, options: dict[str, Value]) -> str:
    changed = [
        f"{option.name}={_text(options[option.name])}"
        for option in loaded.options
        if options[option.name] != option.default
    ]
    return loaded.name + (f" ({', '.join(changed)})" if changed else "")


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def trace_path(name: str | Path) -> Path:
    """Path of a trace given by path, or by the name of a shipped recording.

    Raises UsageError for a name that is neither.
    """
    path = Path(name)
    shipped = shipped_files("traces", ".parquet")
    if path.suffix == ".parquet" or path.exists():
        return path
    if str(name) in shipped:
        return shipped[str(name)]
    raise unknown_name("trace", str(name), shipped, "or give the path of a .parquet trace")


def replay(
    trace: str | Path,
    *,
    allocator: str,
    machine: str,
    options: Mapping[str, str] | None = None,
    cpus: int | None = None,
    seed: int = 0,
    loop: str = "closed",
    events: str = "full",
    lowmem: Collection[str] = (),
    output: Path = Path("runs"),
    command: str | None = None,
    compiled: bool = True,
    fresh: bool = False,
) -> RunResult:
    """Replay a trace through an allocator on a simulated machine; return the finished run.

    `trace` is a path or the name of a shipped recording; `allocator` a design's name or .py file, or several
    by kind of operation ("page_fault=atomic,default=global_pool"); `options` its options as text, with the
    design's name ("global_pool.slots") where several have it; `machine` a profile's name or .toml file, with
    `cpus` CPUs if given. `seed` decides unfair arbitration. `loop` is "closed" (an operation starts its think
    and wait time after the task's previous one was done) or "timed" (not before its recorded time); `events`
    is "full" or "none" (totals only). Pages of the kinds `lowmem` lie in low memory: their mapping is for
    good, and the allocator is not asked. The run becomes a directory of `output`, named by what determines
    it; if it is there already, it is returned as it is unless `fresh`. Uncompiled, the same source runs as
    plain Python, some hundred times slower.

    Raises PipelineError for anything the user can mend; a deadlock is no error but a finding in the manifest.
    """
    if loop not in LOOPS:
        raise unknown_name("loop", loop, LOOPS)
    if events not in EVENTS:
        raise unknown_name("kind of log", events, EVENTS)
    for kind in lowmem:
        if kind not in KINDS:
            raise unknown_name("kind of operation", kind, KINDS)
    if not 0 <= seed < 1 << 63:
        raise UsageError(f"seed wants 0..{(1 << 63) - 1}, found {seed}")
    loaded = resolve_allocator(allocator)
    opened = open_trace(trace_path(trace))
    plan = _Plan(
        allocator,
        machine,
        opened,
        sha256_of(opened.path),
        loaded,
        parse_options(loaded.options, dict(options or {}), loaded.name),
        load_profile(machine).with_cpus(cpus),
        seed,
        "closed" if loop == "closed" else "timed",
        "full" if events == "full" else "none",
        tuple(kind for kind in KINDS if kind in lowmem),
    )
    path = Path(output) / plan.identity()
    if not fresh and (known := _finished(path)) is not None:
        return RunResult(path, known, cached=True)
    with complete_directory(path) as directory, allocator_errors(loaded):
        manifest = _simulate(plan, directory, command or plan.command(output), compiled)
        (directory / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return RunResult(path, manifest, cached=False)


def _finished(path: Path) -> Manifest | None:
    """Manifest of a run that is there and whole, else None."""
    try:
        return Manifest.model_validate_json((path / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def _simulate(plan: _Plan, directory: Path, command: str, compiled: bool) -> Manifest:
    started = datetime.now(UTC)
    begun_s = time.monotonic()
    if compiled and not is_compiled_already(plan.loaded):
        print(f"compiling {plan.loaded.name} for the first time, about 10 s ...", file=sys.stderr)
    # The census reads while the simulator is loaded.
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(take_census, plan.trace)
        simulator = compose(plan.loaded, compiled)
        census = reading.result()
    shape = Shape(plan.machine.cpus, census.tasks, census.processes, census.pages)
    state = build_allocator(plan.loaded, plan.options, shape)
    try:
        with Feed(plan.trace, census, directory, threaded=compiled) as feed:
            setting = RunSettings(
                seed=plan.seed,
                loop=records.CLOSED if plan.loop == "closed" else records.TIMED,
                log=plan.events == "full",
                chunk_rows=CHUNK_ROWS,
                chunk_slots=feed.chunks,
                chunks=feed.chunks,
                levels=census.levels,
                lowmem_kinds=sum(1 << KINDS.index(kind) for kind in plan.lowmem),
            )
            machine_state = build_machine_state(
                plan.machine, plan.loaded, plan.options, shape, setting, state, feed.storage()
            )
            feed.start(machine_state, simulator)
            status, engine_s = _run(simulator, machine_state, state, feed, directory, plan)
            simulator.finish(machine_state)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; nothing of this run was kept in {directory.parent}") from None
    if status == records.S_TOO_LONG:
        raise InputError(
            f"{plan.trace.path}: the replay reaches {records.END_OF_TIME_NS / 3.6e12:.1f} hours of simulated "
            "time, which is its limit; use a shorter trace or shorter waits"
        )
    execution = Execution(
        started=started.isoformat(timespec="microseconds"),
        elapsed_s=round(time.monotonic() - begun_s, 3),
        engine_s=round(engine_s, 3),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        backlog_rows=feed.most_backlog_rows,
        compiled=compiled,
    )
    return _manifest(plan, command, shape, machine_state, state, status, execution)


def _run(
    simulator: Simulator, machine_state: Tables, state: Tables, feed: Feed, directory: Path, plan: _Plan
) -> tuple[int, float]:
    """Simulate to the end; return why it ended and the seconds spent simulating."""
    machine = machine_state.machine[0]
    budget = _BUDGET_COMPILED if simulator.compiled else _BUDGET_PLAIN
    engine_s = 0.0
    done = idle_budgets = 0
    tables = {"operations": (OPERATIONS_FILE, OPERATIONS_SCHEMA), "events": (EVENTS_FILE, EVENTS_SCHEMA)}
    with ExitStack() as stack:
        log = (
            stack.enter_context(EventLog(directory, machine_state, tables)) if plan.events == "full" else None
        )
        advance = stack.enter_context(progress(f"replaying {plan.label()}", feed.trace.rows, "operations"))
        # The fingerprint's products are meant to wrap around; plain Python would warn of each.
        stack.enter_context(np.errstate(over="ignore"))
        while True:
            before_s = time.perf_counter()
            status = int(simulator.run(machine_state, state, budget))
            engine_s += time.perf_counter() - before_s
            completed = int(machine.operations) - done
            done += completed
            advance(completed)
            feed.relieve(done)
            if status == records.S_NEED_ROWS:
                feed.admit_next()
            elif status == records.S_LOG_FULL and log is not None:
                log.exchange()
            elif status != records.S_BUDGET:
                break
            idle_budgets = idle_budgets + 1 if status == records.S_BUDGET and not completed else 0
            if idle_budgets == _STUCK_BUDGETS:
                raise never_done(plan.loaded, _STUCK_BUDGETS * budget)
        if log is not None:
            log.close()
    return status, engine_s


def _manifest(
    plan: _Plan,
    command: str,
    shape: Shape,
    machine_state: Tables,
    state: Tables,
    status: int,
    execution: Execution,
) -> Manifest:
    findings = findings_met(machine_state)
    if status == records.S_DEADLOCK:
        findings.insert(0, deadlock(machine_state))
    now_ns = int(machine_state.machine[0].now_ns)
    check = getattr(plan.loaded.module, "check", None)
    if check is not None:
        findings += [
            Finding(finding="invariant", time_ns=now_ns, message=problem)
            for problem in check(state, look(machine_state, shape))
        ]
    lost_wakeups = getattr(plan.loaded.module, "lost_wakeups", None)
    if lost_wakeups is not None:
        findings += [
            Finding(finding="lost_wakeup", time_ns=now_ns, message=left)
            for left in lost_wakeups(state, look(machine_state, shape))
        ]
    return Manifest(
        id=plan.identity(),
        label=plan.label(),
        command=command,
        trace=TraceReference(
            name=plan.trace.path.stem,
            path=str(plan.trace.path),
            sha256=plan.trace_sha256,
            metadata=plan.trace.metadata.model_dump(),
        ),
        allocator=_allocator(plan, shape, state),
        machine=MachineReference(
            name=plan.machine.name,
            summary=plan.machine.summary,
            cpus=plan.machine.cpus,
            costs=plan.machine.documented(),
        ),
        seed=plan.seed,
        loop=plan.loop,
        events=plan.events,
        lowmem=list(plan.lowmem),
        versions={
            "pipeline": version("kmap-pipeline"),
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
        totals=totals_of(machine_state),
        findings=findings,
        fingerprint=fingerprint_of(machine_state),
        execution=execution,
    )


def _allocator(plan: _Plan, shape: Shape, state: Tables) -> AllocatorReference:
    whole = plan.loaded
    prices = [_prices(loaded, options, shape) for loaded, options in _parts(plan)]
    parts = []
    if isinstance(whole, Composite):
        parts = [
            AllocatorPart(
                name=loaded.name,
                summary=loaded.summary,
                source_sha256=loaded.sha256,
                kinds=list(whole.kinds[k]),
                options=options,
                first_slot=int(state.firsts[k].slot),
                address_space_pages=prices[k][0],
                page_struct_bytes=prices[k][1],
            )
            for k, (loaded, options) in enumerate(_parts(plan))
        ]
    return AllocatorReference(
        name=whole.name,
        summary=whole.summary,
        source_sha256=whole.sha256,
        options=plan.options,
        address_space_pages=sum(pages for pages, _ in prices),
        page_struct_bytes=sum(taken for _, taken in prices),
        bound=whole.bound,
        parts=parts,
    )


def _prices(loaded: Allocator, options: dict[str, Value], shape: Shape) -> tuple[int, int]:
    """Pages of address space that a design takes, and bytes of every struct page."""
    coded = {option.name: option.code(options[option.name]) for option in loaded.options}

    def asked(name: str, default: int) -> int:
        function: Any = getattr(loaded.module, name, None)
        return default if function is None else int(function(coded, shape))

    return (
        asked("address_space_pages", asked("slots", 0)),
        asked("page_struct_bytes", _PAGE_BYTES if loaded.fields("PAGE") else 0),
    )
