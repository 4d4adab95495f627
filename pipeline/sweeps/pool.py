"""Workers on this machine: spawned processes that receive jobs through pipes.

If a worker dies, its current job loses an attempt. Its other jobs go to other workers, and a new worker
replaces it.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.io.process import Process
from pipeline.io.scratch import ScratchDirectory, remove_stale
from pipeline.sweeps import claims
from pipeline.sweeps.job import Job, answer
from pipeline.sweeps.journal import Journal
from pipeline.sweeps.maker import Made, Maker, Settings
from pipeline.sweeps.plan import PlannedRun

# One current job and one more, so no worker waits for its next job.
_AHEAD = 2
_LOOK_S = 0.5
_PATIENCE_S = 0.5
# If this many workers in a row end before their first job, the pool gives up.
_MOST_STILLBORN = 3


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    errors: Path
    identity: Process
    at: deque[Job] = field(default_factory=deque)


class Pool:
    """Makes the jobs of a sweep on workers of this machine; a context manager.

    Raises OutputError if the directory cannot be written, and PipelineError if workers fail to start. At the
    end, workers are stopped within a second and their claims are released.
    """

    def __init__(self, settings: Settings, workers: int) -> None:
        self._settings = settings
        self._size = workers
        self._workers: list[_Worker] = []
        self._journal = Journal(settings.sweep, Process.current())
        self._stillborn = 0

    def __enter__(self) -> Pool:
        self._logs = ScratchDirectory()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_PATIENCE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            self._clear_up(worker)
        # Workers that had to be killed have left theirs.
        remove_stale(Path(tempfile.gettempdir()))
        self._journal.close()
        self._logs.cleanup()

    def make(self, jobs: Sequence[Job], on_made: Callable[[Made], None]) -> list[PlannedRun]:
        """Do jobs in order, and return the runs claimed by other processes."""
        waiting = deque(jobs)
        theirs: list[PlannedRun] = []
        while waiting or any(worker.at for worker in self._workers):
            self._hand_out(waiting)
            pipes = {worker.pipe: worker for worker in self._workers}
            for pipe in wait(list(pipes), _LOOK_S):
                worker = pipes[pipe]  # type: ignore[index]
                try:
                    said = worker.pipe.recv()
                except (EOFError, OSError):
                    self._replace(worker, waiting, on_made)
                    continue
                self._stillborn = 0
                job = worker.at.popleft()
                if isinstance(said, PipelineError):
                    raise said
                if said is not None and job.run is not None:
                    if said.state == "theirs":
                        theirs.append(job.run)
                    else:
                        on_made(said)
        return theirs

    def _hand_out(self, waiting: deque[Job]) -> None:
        while len(self._workers) < min(self._size, len(waiting) + sum(len(w.at) for w in self._workers)):
            self._workers.append(self._start())
        for depth in range(_AHEAD):
            for worker in self._workers:
                if waiting and len(worker.at) <= depth:
                    job = waiting.popleft()
                    worker.at.append(job)
                    # If the worker has ended, reading from it reports that.
                    with suppress(OSError):
                        worker.pipe.send(job)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        errors = Path(self._logs.name) / f"worker-{id(ours)}"
        process = context.Process(target=_work, args=(theirs, self._settings, errors), daemon=True)
        with _no_interrupt():
            process.start()
        theirs.close()
        # Determined here, as the worker may claim a run before its first message is read.
        return _Worker(process, ours, errors, Process.of_this_host(process.pid or 0))

    def _replace(self, worker: _Worker, waiting: deque[Job], on_made: Callable[[Made], None]) -> None:
        """Take back the jobs of a dead worker; its current job has lost an attempt."""
        self._workers.remove(worker)
        worker.process.join()
        line = _last_words(worker)
        claimed = {claim.key: claim for claim in self._clear_up(worker)}
        at = next((job for job in worker.at if job.run is not None and job.run.key in claimed), None)
        if at is None or at.run is None:
            self._stillborn += 1
            if self._stillborn >= _MOST_STILLBORN:
                raise PipelineError(f"workers end before they start a run: {line}")
        else:
            worker.at.remove(at)
            key, attempt = at.run.key, claimed[at.run.key].attempt
            self._journal.note(key, "lost", attempt=attempt, line=line)
            if attempt >= self._settings.most_attempts:
                self._journal.note(key, "poison", attempt=attempt, line=line)
                on_made(Made(key, "poison", line))
            else:
                # Last, so it does not delay other jobs.
                waiting.append(Job(at.run, attempt=attempt + 1))
        waiting.extendleft(reversed(worker.at))

    def _clear_up(self, worker: _Worker) -> list[claims.Claim]:
        """Remove the leftovers of an ended worker, and return its claims."""
        worker.pipe.close()
        shutil.rmtree(self._settings.sweep.scratch(worker.identity), ignore_errors=True)
        return claims.release_all(self._settings.sweep, worker.identity)


def _last_words(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    how = (
        f"its process was ended by {signal.Signals(-code).name}"
        if code < 0
        else f"its process ended with {code}"
    )
    try:
        lines = worker.errors.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"{how}: {said}" if said else how


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Make processes started in this block ignore Ctrl-C."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _work(pipe: Connection, settings: Settings, errors: Path) -> None:
    """Do the jobs received through a pipe until it is closed."""
    # Progress bars and warnings of libraries must not reach the user's terminal.
    with errors.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    maker = Maker(settings)
    with suppress(EOFError, OSError):
        while True:
            pipe.send(answer(maker, pipe.recv()))
