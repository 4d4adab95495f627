"""Workers of dask.distributed: jobs go to them through a scheduler, everything else through the directory.

Each worker claims, makes and notes a run as a process of this machine would, so all of them must see the
sweep's directory under one path. Of Dask's answers only failures count: a task that was given up with its
workers is asked for again, until the claims say that its run ended too many of them.
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

# Tasks handed to the scheduler at a time, for each worker: enough that none waits for the next.
_AHEAD = 4
_CONNECT_S = 10
_LOOK_S = 0.5
_NO_WORKERS_S = 60.0
# A worker that compiles or simulates does not answer; the scheduler must not take it for dead.
_WORKER_TTL_S = 3600
_MOST_GIVEN_UP = 20


@dataclass(frozen=True)
class Engine:
    """What must be the same everywhere for the same runs; `problem` says why it is not known."""

    sources: str
    numba: str
    cpu: str
    directory: bool
    threads: int
    problem: str = ""


def describe_engine(settings: Settings, designs: Sequence[str], threads: int = 1) -> Engine:
    """Describe the engine of this process, and whether it sees the sweep's directory."""
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
    """Make jobs on the workers of a scheduler; returns the runs that processes of other sweepers had claimed.

    Raises UsageError if dask.distributed is not installed, InputError if there is no scheduler, it has no
    worker, it is lost, or a worker is not fit (see `Engine`); OutputError if one cannot write the directory.
    """
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError("--on wants dask.distributed; pip install 'kmap-pipeline[distributed]'") from None
    # What it says of lost connections is said here in one line.
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Workers have working directories of their own.
    sweep = SweepDirectory(settings.sweep.path.resolve())
    settings = replace(settings, sweep=sweep, sweeper=Process.current().name)
    designs = tuple(dict.fromkeys(job.run.allocator for job in jobs if job.run is not None))
    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{address}: found no scheduler of dask.distributed there ({_one_line(error)})"
        ) from error
    try:
        _prepare(client, address, settings, designs)
        return _Submission(client, address, settings, on_made).make(deque(jobs))
    except (OSError, distributed.client.FutureCancelledError, asyncio.CancelledError) as error:
        raise _lost(address) from error
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=1)


def _prepare(client: Any, address: str, settings: Settings, designs: tuple[str, ...]) -> None:
    """See that every worker is fit, and let it compile the designs."""
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
    """Why a worker cannot be used, "" if it can."""
    if theirs.problem:
        return f"cannot load a design: {theirs.problem}"
    if theirs.threads != 1:
        return f"has {theirs.threads} threads, and a run wants a process; start workers with --nthreads 1"
    if not theirs.directory:
        return "does not see the sweep's directory; put it on a file system that all share, under one path"
    if theirs.numba != ours.numba:
        return f"has numba {theirs.numba}, here it is {ours.numba}; install the same version"
    if theirs.sources != ours.sources:
        return "has other sources of engine or designs; install the same version of kmap-pipeline"
    if theirs.cpu != ours.cpu:
        return "has a CPU with other features; start the sweep and its workers on CPUs of one kind"
    return ""


def _quieten(dask_scheduler: Any) -> None:
    """Settings of the scheduler for long tasks that hold the interpreter."""
    dask_scheduler.worker_ttl = max(dask_scheduler.worker_ttl or _WORKER_TTL_S, _WORKER_TTL_S)
    stealing = dask_scheduler.extensions.get("stealing")
    if stealing is not None:
        asyncio.ensure_future(stealing.stop())  # noqa: RUF006 - the scheduler's loop outlives it


def _compiler(designs: tuple[str, ...]) -> Any:
    """A plugin that lets each worker compile the designs when it starts, one after another on a machine."""
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
    """Tasks of one sweep that a scheduler has."""

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
                f"{self._address}: the scheduler has had no worker for a minute; start some, the same "
                "command does the rest"
            )
        while waiting and len(self._under_way) < _AHEAD * max(workers, 1):
            job = waiting.popleft()
            self._submitted += 1
            key = f"{job.name}-{self._settings.sweeper}-{self._submitted}"
            future = self._client.submit(_make_here, self._settings, job, key=key, pure=False)
            self._under_way[future] = job

    def _finished(self) -> Iterator[Any]:
        """Tasks that have ended, after waiting for one for a moment."""
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
        f"{address}: the scheduler is gone; what was done is kept, the same command does the rest"
    )


def _one_line(error: BaseException | None) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


@cache
def _maker(settings: Settings) -> Maker:
    """The maker of this worker for a sweep."""
    return Maker(settings)


def _was_lost(settings: Settings, run: PlannedRun) -> bool:
    """Whether the claim of a worker that was lost with the run is still there."""
    former = claims.find(settings.sweep, run.key)
    return former is not None and (former.sweeper == settings.sweeper or former.is_void(settings.sweep))


def _make_here(settings: Settings, job: Job) -> Made | PipelineError | None:
    """Do a job in a worker; a run that has ended one before, in a process of its own."""
    # A worker that is ended while it starts is not replaced: one poison could end them all.
    if job.run is not None and (job.attempt > 1 or _was_lost(settings, job.run)):
        return make_alone(settings, job)
    # A progress bar is not for the terminal that a worker was started from.
    with contextlib.redirect_stderr(io.StringIO()):
        return answer(_maker(settings), job)
