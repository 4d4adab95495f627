"""Workers of dask.distributed: a scheduler distributes jobs; everything else goes through the directory.

Each worker claims, makes and records a run like a local process, so all workers must have the sweep's
directory under the same path. Of Dask's results, only failures are used. A task that was lost with its worker
is submitted again, until the claims show that its run ended too many workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import io
import logging
import platform
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import Any

from pipeline.allocators.registry import resolve_allocator
from pipeline.errors import InputError, PipelineError, UsageError
from pipeline.io.process import Process
from pipeline.machine.compose import cache_directory, simulator_sha256
from pipeline.runs.warm import compile_designs
from pipeline.sweeps import claims
from pipeline.sweeps.alone import make_alone
from pipeline.sweeps.directory import SweepDirectory
from pipeline.sweeps.job import Job, answer
from pipeline.sweeps.maker import Made, Maker, Settings
from pipeline.sweeps.plan import PlannedRun
from pipeline.sweeps.trace_source import generator_sha256

# Tasks submitted to the scheduler per worker, enough to keep it busy.
_AHEAD = 4
_CONNECT_S = 10
_LOOK_S = 0.5
_NO_WORKERS_S = 60.0
# A worker that compiles or simulates does not respond; the scheduler must not consider it dead.
_WORKER_TTL_S = 3600
_MOST_GIVEN_UP = 20


@dataclass(frozen=True)
class Engine:
    """Properties of a worker that must be equal for equal runs; `problem` explains why they are unknown."""

    sources: str
    numba: str
    cpu: str
    directory: bool
    threads: int
    problem: str = ""


def describe_engine(settings: Settings, designs: Sequence[str], threads: int = 1) -> Engine:
    """Describe the engine of this process, and whether the sweep's directory exists for it."""
    try:
        import llvmlite.binding as llvm  # type: ignore[import-untyped]  # noqa: PLC0415 - takes a third of a second to load

        sources = [simulator_sha256(resolve_allocator(name)) for name in designs] + [generator_sha256()]
        features = f"{platform.machine()} {llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
        return Engine(
            hashlib.sha256(" ".join(sources).encode()).hexdigest(), version("numba"), features,
            settings.sweep.journal.is_dir(), threads,
        )  # fmt: skip
    except PipelineError as error:
        return Engine("", "", "", True, threads, str(error))


def make_on_scheduler(
    address: str, settings: Settings, jobs: Sequence[Job], on_made: Callable[[Made], None]
) -> list[PlannedRun]:
    """Do jobs on the workers of a scheduler, and return the runs claimed by processes of other sweepers.

    Raises UsageError if dask.distributed is not installed; InputError if the scheduler is missing, is lost or
    has no worker, or if a worker is unsuitable (see `Engine`); OutputError if a worker cannot write the
    directory.
    """
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError("--on requires dask.distributed; pip install 'kmap-pipeline[distributed]'") from None
    # Its messages about lost connections are replaced by one line.
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Workers have different working directories.
    sweep = SweepDirectory(settings.sweep.path.resolve())
    settings = replace(settings, sweep=sweep, sweeper=Process.current().name)
    designs = tuple(dict.fromkeys(job.run.allocator for job in jobs if job.run is not None))
    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{address}: found no scheduler of dask.distributed ({_one_line(error)})") from error
    try:
        _prepare(client, address, settings, designs)
        return _Submission(client, address, settings, on_made).make(deque(jobs))
    except (OSError, distributed.client.FutureCancelledError, asyncio.CancelledError) as error:
        raise _lost(address) from error
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=1)


def _prepare(client: Any, address: str, settings: Settings, designs: tuple[str, ...]) -> None:
    """Check that every worker is suitable, and let it compile the designs."""
    if not client.scheduler_info(n_workers=-1)["workers"]:
        with contextlib.suppress(OSError):
            client.wait_for_workers(1, timeout=_CONNECT_S)
    if not (workers := client.scheduler_info(n_workers=-1)["workers"]):
        raise InputError(f"{address}: the scheduler has no workers; start some with 'dask worker {address}'")
    try:
        found = client.run(describe_engine, settings, designs)
    except ModuleNotFoundError as error:
        raise InputError(f"{address}: a worker cannot import the pipeline ({_one_line(error)})") from error
    ours = describe_engine(settings, designs)
    for worker, engine in found.items():
        threads = int(workers[worker]["nthreads"]) if worker in workers else 1
        if misfit := _misfit(ours, replace(engine, threads=threads)):
            raise InputError(f"{address}: worker {worker} {misfit}; nothing was submitted")
    client.run_on_scheduler(_quieten)
    if settings.compiled:
        client.register_plugin(_compiler(designs), name=f"kmap-pipeline-{settings.sweeper}")


def _misfit(ours: Engine, theirs: Engine) -> str:
    """Return why a worker cannot be used, else ""."""
    if theirs.problem:
        return f"cannot load a design: {theirs.problem}"
    if theirs.threads != 1:
        return f"has {theirs.threads} threads, but a run requires a process; start workers with --nthreads 1"
    if not theirs.directory:
        return "does not have the sweep's directory; use a shared file system with the same path everywhere"
    if theirs.numba != ours.numba:
        return f"has numba {theirs.numba}, but this process has {ours.numba}; install the same version"
    if theirs.sources != ours.sources:
        return "has different sources of engine or designs; install the same version of kmap-pipeline"
    if theirs.cpu != ours.cpu:
        return "has a CPU with different features; use the same kind of CPU for the sweep and its workers"
    return ""


def _quieten(dask_scheduler: Any) -> None:
    """Return settings of the scheduler for long tasks that hold the interpreter."""
    dask_scheduler.worker_ttl = max(dask_scheduler.worker_ttl or _WORKER_TTL_S, _WORKER_TTL_S)
    stealing = dask_scheduler.extensions.get("stealing")
    if stealing is not None:
        asyncio.ensure_future(stealing.stop())  # noqa: RUF006 - the scheduler's loop outlives it


def _compiler(designs: tuple[str, ...]) -> Any:
    """A plugin with which each worker compiles the designs at its start, one worker at a time per machine."""
    from distributed import WorkerPlugin  # noqa: PLC0415 - an extra

    class _Compiler(WorkerPlugin):
        async def setup(self, worker: Any) -> None:
            await asyncio.to_thread(_compile_alone, designs)

    return _Compiler()


def _compile_alone(designs: Sequence[str]) -> None:
    with (cache_directory() / ".compiling").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        compile_designs(designs)


class _Submission:
    """The tasks of one sweep at a scheduler."""

    def __init__(
        self, client: Any, address: str, settings: Settings, on_made: Callable[[Made], None]
    ) -> None:
        self._client, self._address = client, address
        self._settings, self._on_made = settings, on_made
        self._under_way: dict[Any, Job] = {}
        self._given_up: Counter[str] = Counter()
        self._submitted = 0
        self._worker_seen_s = time.monotonic()

    def make(self, waiting: deque[Job]) -> list[PlannedRun]:
        theirs: list[PlannedRun] = []
        try:
            while waiting or self._under_way:
                self._submit(waiting)
                for future in self._finished():
                    job = self._under_way.pop(future)
                    self._take(job, future, waiting, theirs)
                    future.release()
        finally:
            with contextlib.suppress(Exception):
                self._client.cancel(list(self._under_way))
        return theirs

    def _submit(self, waiting: deque[Job]) -> None:
        workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        if workers:
            self._worker_seen_s = time.monotonic()
        elif time.monotonic() - self._worker_seen_s > _NO_WORKERS_S:
            raise InputError(
                f"{self._address}: the scheduler has had no worker for a minute; start some and repeat "
                "the command to continue"
            )
        while waiting and len(self._under_way) < _AHEAD * max(workers, 1):
            job = waiting.popleft()
            self._submitted += 1
            key = f"{job.name}-{self._settings.sweeper}-{self._submitted}"
            future = self._client.submit(_make_here, self._settings, job, key=key, pure=False)
            self._under_way[future] = job

    def _finished(self) -> Iterator[Any]:
        """Return the tasks that have ended, after a short wait."""
        deadline_s = time.monotonic() + _LOOK_S
        while time.monotonic() < deadline_s:
            if self._client.status != "running":
                raise _lost(self._address)
            if ended := [future for future in self._under_way if future.done()]:
                yield from ended
                return
            time.sleep(0.005)

    def _take(self, job: Job, future: Any, waiting: deque[Job], theirs: list[PlannedRun]) -> None:
        if future.status == "cancelled":
            raise _lost(self._address)
        if future.status == "error":
            self._given_up[job.name] += 1
            if self._given_up[job.name] > _MOST_GIVEN_UP:
                raise InputError(f"{self._address}: {job.name}: {_one_line(future.exception())}")
            waiting.append(job)
            return
        made = future.result()
        if isinstance(made, PipelineError):
            raise made
        if made is None or job.run is None:
            return
        if made.state == "theirs":
            theirs.append(job.run)
        else:
            self._on_made(made)


def _lost(address: str) -> InputError:
    return InputError(
        f"{address}: the scheduler is gone; finished runs are kept, and the same command continues"
    )


def _one_line(error: BaseException | None) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


@cache
def _maker(settings: Settings) -> Maker:
    """Return the maker of this worker for a sweep."""
    return Maker(settings)


def _was_lost(settings: Settings, run: PlannedRun) -> bool:
    """Return whether a lost worker left its claim on the run."""
    former = claims.find(settings.sweep, run.key)
    return former is not None and (former.sweeper == settings.sweeper or former.is_void(settings.sweep))


def _make_here(settings: Settings, job: Job) -> Made | PipelineError | None:
    """Do a job in a worker; a run that has already ended a worker gets a separate process."""
    # A worker that is ended while it starts is not replaced, so one bad run could end them all.
    if job.run is not None and (job.attempt > 1 or _was_lost(settings, job.run)):
        return make_alone(settings, job)
    # A worker prints no progress bar to its terminal.
    with contextlib.redirect_stderr(io.StringIO()):
        return answer(_maker(settings), job)
