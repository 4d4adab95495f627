"""Making runs of a sweep in one process, which keeps what several runs share.

It keeps designs with their compiled simulators, machines, and the last traces with their census.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.contract import parse_options
from pipeline.allocators.registry import resolve_allocator
from pipeline.errors import Interrupted, OutputError, PipelineError
from pipeline.io.process import Process
from pipeline.machine.drive import Census
from pipeline.machine.profile import Profile, load_profile
from pipeline.runs.execute import make_run
from pipeline.runs.feed import take_census
from pipeline.runs.plan import Plan
from pipeline.runs.store import read_finished_manifest
from pipeline.schema.manifest import Manifest
from pipeline.sweeps import claims
from pipeline.sweeps.directory import SweepDirectory
from pipeline.sweeps.journal import Journal
from pipeline.sweeps.plan import PlannedRun
from pipeline.sweeps.results import result_row
from pipeline.sweeps.trace_source import TraceSource
from pipeline.trace.reader import Trace

MOST_ATTEMPTS = 3
_TRACES_KEPT = 4
_LOOK_S = 0.05
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Settings:
    """Settings shared by the makers of a sweep.

    `sweeper` names the process that they work for, if it cannot detect which of them have ended. A run that
    ended `most_attempts` processes is abandoned.
    """

    sweep: SweepDirectory
    sweeper: str = ""
    compiled: bool = True
    most_attempts: int = MOST_ATTEMPTS


@dataclass(frozen=True)
class Made:
    """The result of a request for a run.

    `state`: done; failed or poison, with the reason in `line`; theirs: claimed by another process.
    """

    key: str
    state: Literal["done", "failed", "poison", "theirs"]
    line: str = ""
    elapsed_s: float = 0.0
    findings: int = 0


class Maker:
    """Makes runs in this process; must be closed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sweep = settings.sweep
        self._process = Process.current()
        self._journal = Journal(self._sweep, self._process)
        self._traces: OrderedDict[tuple[Path, int, int], tuple[Trace, str, Census]] = OrderedDict()

    def make(self, run: PlannedRun, attempt: int = 1) -> Made:
        """Make a run, unless another process has claimed it, and record the result.

        Raises OutputError if the sweep's directory cannot be written, which is not a failure of the run.
        """
        claim = claims.take(self._sweep, run.key, self._process, self._settings.sweeper, attempt)
        if claim is None:
            return Made(run.key, "theirs")
        try:
            if claim.attempt > attempt:
                self._journal.note(run.key, "lost", attempt=claim.attempt - 1, line="its process had ended")
            if claim.attempt > self._settings.most_attempts:
                return self._give_up(run, claim.attempt - 1)
            return self._make(run, claim.attempt)
        finally:
            claims.release(self._sweep, run.key)

    def make_trace(self, source: TraceSource) -> None:
        """Generate a missing trace, or wait for the process that generates it. Raises OutputError."""
        place = source.place(self._sweep.path)
        name = f"{claims.TRACE}{place.parent.name}"
        deadline_s = time.monotonic() + _PATIENCE_S
        while source.is_missing(self._sweep.path):
            claim = claims.take(self._sweep, name, self._process, self._settings.sweeper)
            # The end of a remote process cannot be detected. Generating the same trace twice is harmless.
            if claim is None and time.monotonic() < deadline_s:
                time.sleep(_LOOK_S)
                continue
            try:
                if source.is_missing(self._sweep.path):
                    with self._sweep.new_directory(place.parent, self._process) as directory:
                        source.write(directory / place.name)
            finally:
                if claim is not None:
                    claims.release(self._sweep, name)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _give_up(self, run: PlannedRun, attempts: int) -> Made:
        line = f"ended {attempts} processes that attempted it"
        self._journal.note(run.key, "poison", attempt=attempts, line=line)
        return Made(run.key, "poison", line)

    def _make(self, run: PlannedRun, attempt: int) -> Made:
        target = self._sweep.runs / run.key
        begun_s = time.monotonic()
        try:
            self.make_trace(run.trace)
            # Waiting for a trace is not part of the run.
            begun_s = time.monotonic()
            manifest = read_finished_manifest(target)
            if manifest is None:
                with self._sweep.new_directory(target, self._process) as directory:
                    manifest = self.simulate(run, directory)
        except (OutputError, Interrupted, KeyboardInterrupt):
            raise
        except Exception as error:
            status = error.exit_status if isinstance(error, PipelineError) else 1
            said = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
            line = " ".join(said.split())
            self._journal.note(run.key, "failed", attempt=attempt, status=status, line=line)
            return Made(run.key, "failed", line)
        self._journal.note_totals(result_row(run, manifest))
        elapsed_s = round(time.monotonic() - begun_s, 4)
        self._journal.note(
            run.key, "done", attempt=attempt, fingerprint=manifest.fingerprint, elapsed_s=elapsed_s,
            operations=manifest.totals.operations, findings=len(manifest.findings),
        )  # fmt: skip
        return Made(run.key, "done", "", elapsed_s, len(manifest.findings))

    def simulate(self, run: PlannedRun, directory: Path) -> Manifest:
        """Make a run in its own directory. Raises the errors of `replay`."""
        self.make_trace(run.trace)
        trace, sha256, census = self._trace(run.trace)
        config = run.config(self._sweep.path, compiled=self._settings.compiled)
        allocator = _allocator(run.allocator)
        profile = _profile(run.machine, tuple(run.costs.items()), run.cpus)
        options = parse_options(allocator.options, dict(run.options), allocator.name, profile.architecture)
        return make_run(Plan(config, trace, sha256, allocator, options, profile), directory, census)

    def _trace(self, source: TraceSource) -> tuple[Trace, str, Census]:
        # A rewritten file counts as a different one, even with the same name.
        place = source.place(self._sweep.path)
        known = (place, place.stat().st_mtime_ns, place.stat().st_size) if place.exists() else (place, 0, 0)
        if known not in self._traces:
            trace, sha256 = source.open(self._sweep.path)
            self._traces[known] = trace, sha256, take_census(trace)
            if len(self._traces) > _TRACES_KEPT:
                self._traces.popitem(last=False)
        self._traces.move_to_end(known)
        return self._traces[known]


@cache
def _allocator(name: str) -> Allocator:
    return resolve_allocator(name)


@cache
def _profile(name: str, costs: tuple[tuple[str, int], ...], cpus: int) -> Profile:
    return load_profile(name).with_costs(dict(costs)).with_cpus(cpus)
