"""Executing a run: from its settings to a finished run directory."""

from __future__ import annotations

import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, Interrupted
from pipeline.io.files import complete_directory
from pipeline.io.progress import progress
from pipeline.machine.compose import compose, is_compiled_already
from pipeline.machine.drive import Census, build_simulation, drive
from pipeline.machine.engine import records
from pipeline.machine.layout import RunSettings
from pipeline.runs.allocator_errors import allocator_errors
from pipeline.runs.feed import Feed, take_census
from pipeline.runs.finished import RunResult, find_finished, run_directory
from pipeline.runs.log_writer import EventLog
from pipeline.runs.manifest import build_manifest
from pipeline.runs.plan import Plan, RunConfig, make_plan
from pipeline.runs.sums import RunSums
from pipeline.schema.manifest import KEPT_TABLES, MANIFEST_FILE, Execution, Manifest
from pipeline.schema.names import KINDS


def replay(trace: str | Path, *, allocator: str, machine: str, **settings: Any) -> RunResult:
    """Replay a trace with an allocator on a simulated machine and return the finished run.

    `RunConfig` describes the settings. Raises PipelineError for errors that the user can fix. A deadlock is a
    finding in the manifest, not an error.
    """
    return execute(RunConfig(trace, allocator, machine, **settings))


def execute(config: RunConfig) -> RunResult:
    """Make a run, or return the existing one; see `replay`."""
    plan = make_plan(config)
    return find_finished(plan) or execute_plan(plan)


def execute_plan(plan: Plan) -> RunResult:
    """Make a run even if it exists; see `replay`."""
    path, config = run_directory(plan), plan.config
    if config.compiled and not is_compiled_already(plan.allocator):
        print(f"compiling {plan.allocator.name} (only before its first run) ...", file=sys.stderr)
    with complete_directory(path) as directory:
        return RunResult(path, make_run(plan, directory), cached=False)


def make_run(plan: Plan, directory: Path, census: Census | None = None) -> Manifest:
    """Simulate to the end and write the log and the manifest into the existing `directory`.

    `census` is the trace's census, if the caller has it. Raises the errors of `replay`.
    """
    with allocator_errors(plan.allocator):
        manifest = _simulate(plan, directory, census)
    (directory / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def _simulate(plan: Plan, directory: Path, census: Census | None) -> Manifest:
    started = datetime.now(UTC)
    begun_s = time.monotonic()
    compiled = plan.config.compiled
    if census is None:
        # The census is read while the simulator is loaded.
        with ThreadPoolExecutor(1, "census") as reader:
            reading = reader.submit(take_census, plan.trace)
            compose(plan.allocator, compiled)
            census = reading.result()
    simulator = compose(plan.allocator, compiled)
    try:
        with ExitStack() as stack:
            kept = KEPT_TABLES[plan.config.events]
            sums = RunSums(census) if kept else None
            observe_pages = sums.add_pages if sums else None
            jitter = plan.config.jitter_percent / 100
            feed = stack.enter_context(Feed(plan.trace, census, directory, compiled, jitter, observe_pages))
            settings = RunSettings(
                seed=plan.config.seed,
                loop=records.CLOSED if plan.config.loop == "closed" else records.TIMED,
                log=sums is not None,
                stretches="stretches" in kept,
                chunk_rows=feed.chunk_rows,
                chunk_slots=feed.chunks,
                levels=census.levels,
                lowmem_kinds=sum(1 << KINDS.index(kind) for kind in plan.lowmem),
            )
            simulation = build_simulation(
                simulator, plan.allocator, plan.options, plan.profile, census, settings, feed.storage()
            )
            feed.start(simulation)
            log = (
                EventLog(directory, simulation.machine_state, kept, sums, plan.allocator.maps_areas)
                if sums
                else None
            )
            if log is not None:
                stack.enter_context(log)
            advance = stack.enter_context(
                progress(f"replaying {plan.label()}", plan.trace.rows, "operations")
            )
            status, engine_s = drive(simulation, feed, log, observe=advance)
            if sums:
                sums.write(directory, int(simulation.machine_state.machine[0].operations))
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; nothing of this run was kept in {directory.parent}") from None
    if status == records.S_TOO_LONG:
        raise InputError(
            f"{plan.trace.path}: the replay reaches the limit of {records.END_OF_TIME_NS / 3.6e12:.1f} hours "
            "of simulated time; use a shorter trace or shorter waits"
        )
    execution = Execution(
        started=started.isoformat(timespec="microseconds"),
        elapsed_s=round(time.monotonic() - begun_s, 3),
        engine_s=round(engine_s, 3),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        backlog_rows=feed.most_backlog_rows,
        compiled=compiled,
    )
    return build_manifest(plan, simulation, status, log.files if log else {}, execution)
