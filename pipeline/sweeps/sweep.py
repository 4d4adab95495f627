"""Making the runs of a grid. Existing runs are kept, and missing runs are made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import Interrupted
from pipeline.io.files import complete_file
from pipeline.io.process import Process
from pipeline.runs.warm import Compilation, compile_designs
from pipeline.sweeps import claims
from pipeline.sweeps.directory import SweepDirectory, create_sweep
from pipeline.sweeps.grid import Grid, grid_text
from pipeline.sweeps.job import Job
from pipeline.sweeps.journal import Journal, RunState, read_states
from pipeline.sweeps.maker import MOST_ATTEMPTS, Made, Settings
from pipeline.sweeps.plan import MOST_RUNS, PlannedRun, Planner
from pipeline.sweeps.pool import Pool
from pipeline.sweeps.results import write_plan, write_results
from pipeline.sweeps.trace_source import TraceSource


@dataclass(frozen=True)
class Observer:
    """Functions that are called as a sweep proceeds; all are optional.

    `plan`: the number of runs of the grid (or shard), of existing runs and of runs to make. `compiling`,
    `compiled`: a design. `made`: a run and its result. `note`: a line for the user.
    """

    plan: Callable[[int, int, int], None] = lambda *_: None
    compiling: Callable[[str], None] = lambda _: None
    compiled: Callable[[Compilation], None] = lambda _: None
    made: Callable[[PlannedRun, Made], None] = lambda *_: None
    note: Callable[[str], None] = lambda _: None


@dataclass
class SweepResult:
    """The result of a sweep.

    `runs` is the number of runs of the grid. `done` of them are done, `made` by this call. `failed` and
    `poison` have no result. `theirs` are in progress in other processes. `findings` is the number of new runs
    with hazards.
    """

    path: Path
    runs: int
    done: int = 0
    made: int = 0
    failed: int = 0
    poison: int = 0
    findings: int = 0
    theirs: list[PlannedRun] = field(default_factory=list)


@dataclass(frozen=True)
class Means:
    """The workers that make runs.

    `workers` is the number of processes on this machine (None: the number of usable CPUs). `scheduler` is the
    address of a scheduler of dask.distributed, to use its workers instead. A run that ended `most_attempts`
    processes is abandoned. If `compiled` is false, runs use plain Python.
    """

    workers: int | None = None
    scheduler: str | None = None
    most_attempts: int = MOST_ATTEMPTS
    compiled: bool = True


def sweep(
    grid: Grid,
    output: str | Path,
    *,
    means: Means = Means(),
    only_failed: bool = False,
    shard: tuple[int, int] = (1, 1),
    most: int = MOST_RUNS,
    observer: Observer = Observer(),
) -> SweepResult:
    """Make the missing runs of a grid of at most `most` runs.

    `output` is the directory of the sweep. Other processes may work in it, and runs of other grids in it are
    kept. With `only_failed`, only failed runs are repeated. `shard` (i, n), i from 1, makes only the i-th of
    n parts of the runs.

    Raises UsageError for a grid that cannot be planned, OutputError if the directory cannot be written, and
    Interrupted. Finished runs are always kept.
    """
    runs = Planner(grid, most).runs
    directory = create_sweep(Path(output))
    _keep_grid(directory, grid, runs)
    return make_runs(directory, in_shard(runs, shard), means, only_failed, observer)


def make_runs(
    directory: SweepDirectory,
    runs: Sequence[PlannedRun],
    means: Means = Means(),
    only_failed: bool = False,
    observer: Observer = Observer(),
    pool: Pool | None = None,
) -> SweepResult:
    """Make the missing runs in a sweep's directory, like `sweep`; on workers of `pool`, if given."""
    states = read_states(directory)
    todo = _select(runs, states, only_failed)
    done = {run.key for run in runs if _state(states, run) == "done"}
    observer.plan(len(runs), len(done), len(todo))
    result = SweepResult(directory.path, len(runs), len(done))
    journal = Journal(directory, Process.current())
    try:
        if only_failed:
            for run in todo:
                journal.note(run.key, "again")
                states.pop(run.key, None)
        if means.compiled and means.scheduler is None:
            todo = _compile(todo, journal, means.workers, observer)
        if todo:
            _make(directory, todo, states, result, means, observer, pool)
    except KeyboardInterrupt:
        there = result.done + result.made
        raise Interrupted(
            f"interrupted; {there} of {result.runs} runs are in {directory.path}; the same command makes the "
            "others"
        ) from None
    finally:
        journal.close()
    return _finish(directory, runs, result)


def open_pool(directory: SweepDirectory, means: Means) -> Pool:
    """Workers of this machine, shared by several calls of `make_runs`; a context manager."""
    return Pool(_settings(directory, means), _size(means))


def _settings(directory: SweepDirectory, means: Means) -> Settings:
    return Settings(directory, compiled=means.compiled, most_attempts=means.most_attempts)


def _size(means: Means) -> int:
    return means.workers or len(os.sched_getaffinity(0))


def in_shard(runs: Sequence[PlannedRun], shard: tuple[int, int]) -> list[PlannedRun]:
    """Return the runs of the i-th of n parts; a run's part depends only on its key."""
    i, n = shard
    return [run for run in runs if int(run.key, 16) % n == i - 1]


def _keep_grid(directory: SweepDirectory, grid: Grid, runs: Sequence[PlannedRun]) -> None:
    with complete_file(directory.grid) as file:
        file.write_text(grid_text(grid.with_absolute_paths()), encoding="utf-8")
    write_plan(directory, runs)
    directory.remove_scratch()


def _state(states: dict[str, RunState], run: PlannedRun) -> str:
    return states.get(run.key, RunState()).state


def _select(runs: Iterable[PlannedRun], states: dict[str, RunState], only_failed: bool) -> list[PlannedRun]:
    if only_failed:
        return [run for run in runs if _state(states, run) in ("failed", "poison")]
    return [run for run in runs if not states.get(run.key, RunState()).settled]


def _compile(
    runs: list[PlannedRun], journal: Journal, workers: int | None, observer: Observer
) -> list[PlannedRun]:
    """Compile the designs of runs, and return the runs of designs that compile."""
    names = list(dict.fromkeys(run.allocator for run in runs))
    compilations = compile_designs(names, workers=workers, begin=observer.compiling, end=observer.compiled)
    problems = {made.allocator: made.problem for made in compilations if made.problem}
    for run in runs:
        if run.allocator in problems:
            line = problems[run.allocator]
            journal.note(run.key, "failed", status=3, line=line)
            observer.made(run, Made(run.key, "failed", line))
    return [run for run in runs if run.allocator not in problems]


def _make(
    directory: SweepDirectory,
    runs: list[PlannedRun],
    states: dict[str, RunState],
    result: SweepResult,
    means: Means,
    observer: Observer,
    pool: Pool | None,
) -> None:
    by_key = {run.key: run for run in runs}

    def note(made: Made) -> None:
        result.made += made.state == "done"
        result.findings += made.findings > 0
        observer.made(by_key[made.key], made)

    size = _size(means)
    settings = _settings(directory, means)
    jobs = [Job(run, attempt=states.get(run.key, RunState()).lost + 1) for run in runs]
    if means.scheduler is not None:
        # Imported late, as it is slow to import and optional.
        from pipeline.sweeps.distributed import make_on_scheduler  # noqa: PLC0415

        result.theirs = make_on_scheduler(
            means.scheduler, settings, _with_traces(directory, jobs, size), note
        )
        return
    with nullcontext(pool) if pool is not None else Pool(settings, size) as workers:
        theirs = workers.make(_with_traces(directory, jobs, size), note)
        # Another process may have ended before it had made them.
        while left := [run for run in theirs if not _is_theirs(directory, run)]:
            elsewhere = [run for run in theirs if run not in left]
            theirs = elsewhere + workers.make([Job(run) for run in left], note)
    result.theirs = theirs


def _is_theirs(directory: SweepDirectory, run: PlannedRun) -> bool:
    claim = claims.find(directory, run.key)
    return claim is not None and not claim.is_void(directory)


def _with_traces(directory: SweepDirectory, jobs: list[Job], lead: int) -> list[Job]:
    """Insert the generation of each needed trace some traces before its runs."""
    missing: dict[Path, TraceSource] = {}
    for job in jobs:
        if job.run is not None and job.run.trace.generated:
            missing.setdefault(job.run.trace.place(directory.path), job.run.trace)
    to_come = [trace for place, trace in missing.items() if not place.exists()]
    made = [Job(trace=trace) for trace in to_come[:lead]]
    ahead = dict(zip([trace.content for trace in to_come], to_come[lead:], strict=False))
    for job in jobs:
        if job.run is not None and (following := ahead.pop(job.run.trace.content, None)) is not None:
            made.append(Job(trace=following))
        made.append(job)
    return made


def _finish(directory: SweepDirectory, runs: Sequence[PlannedRun], result: SweepResult) -> SweepResult:
    """Write the results and count the runs."""
    write_results(directory)
    found = [_state(states, run) for states in [read_states(directory)] for run in runs]
    result.done, result.failed, result.poison = (found.count(state) for state in ("done", "failed", "poison"))
    return result
