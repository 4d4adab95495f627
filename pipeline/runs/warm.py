"""Compiling designs before their first replay, several at a time, each in its own process.

A design is compiled by replaying 100 operations, which compiles exactly the functions that replays call.
Stopping a process leaves the cache intact: it keeps what is already compiled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.allocators.registry import resolve_allocator
from pipeline.errors import InputError, PipelineError
from pipeline.io.scratch import ScratchDirectory
from pipeline.machine.compose import is_compiled_already
from pipeline.runs.execute import replay
from pipeline.runs.sums import compile_loops
from pipeline.trace.check import compile_check
from pipeline.trace.reader import open_trace
from pipeline.workload.generate import generate

_PACKAGES = Path(__file__).parents[2]
_OPERATIONS = 100
_LOOK_S = 0.05
# LLVM does not handle signals while it works, so a process that ignores SIGTERM is killed.
_PATIENCE_S = 0.5


@dataclass(frozen=True)
class Compilation:
    """The result for one design: the `seconds` of its compilation, 0 if it was already compiled.

    `problem` is a line that explains why it cannot be compiled, else "".
    """

    allocator: str
    seconds: float
    problem: str = ""


@dataclass
class _Job:
    allocator: str
    errors: Path
    process: subprocess.Popen[bytes]
    begun_s: float = field(default_factory=time.monotonic)

    def result(self) -> Compilation:
        status, seconds = self.process.returncode, time.monotonic() - self.begun_s
        lines = self.errors.read_text(encoding="utf-8", errors="replace").splitlines()
        if status == 0:
            return Compilation(self.allocator, seconds)
        if status == InputError.exit_status and lines:
            return Compilation(self.allocator, seconds, lines[-1])
        said = f": {lines[-1]}" if lines else ""
        problem = (
            f"{self.allocator}: the process that compiles it ended with status "
            f"{status}{said}; replay a trace with it to see the error"
        )
        return Compilation(self.allocator, seconds, problem)


def compile_designs(
    allocators: Iterable[str],
    *,
    workers: int | None = None,
    begin: Callable[[str], None] = lambda _: None,
    end: Callable[[Compilation], None] = lambda _: None,
) -> list[Compilation]:
    """Compile designs that are not yet compiled, `workers` at a time (default: the number of usable CPUs).

    `allocators` are given as for a replay: names, paths of files, or several by kind of operation. `begin` is
    called with each design before its compilation, and `end` with each result. A design that cannot be loaded
    or compiled does not stop the others. Returns the results in the order of `allocators`.

    Raises UsageError for an unknown name before compiling anything. An exception or interrupt stops all
    processes within a second.
    """
    names = list(dict.fromkeys(allocators))
    found: dict[str, Compilation] = {}
    missing = []
    for name in names:
        try:
            if not is_compiled_already(resolve_allocator(name)):
                missing.append(name)
                continue
            found[name] = Compilation(name, 0.0)
        except InputError as error:
            found[name] = Compilation(name, 0.0, str(error))
    for known in found.values():
        end(known)
    if missing:
        count = workers or len(os.sched_getaffinity(0))
        with ScratchDirectory() as directory:
            for done in _compile_in_processes(missing, Path(directory), count, begin):
                found[done.allocator] = done
                end(done)
    return [found[name] for name in names]


def _compile_in_processes(
    names: list[str], directory: Path, workers: int, begin: Callable[[str], None]
) -> Iterator[Compilation]:
    trace = directory / "trace.parquet"
    generate("kernel_build", trace, operations=_OPERATIONS)
    waiting = list(reversed(names))
    with _stopped_at_the_end() as running:
        while waiting or running:
            while waiting and len(running) < workers:
                name = waiting.pop()
                begin(name)
                running.append(_start(name, trace, directory / str(len(waiting))))
            time.sleep(_LOOK_S)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                yield job.result()


def _start(name: str, trace: Path, directory: Path) -> _Job:
    directory.mkdir()
    errors = directory / "errors"
    paths = [str(_PACKAGES), os.environ.get("PYTHONPATH", "")]
    with errors.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, name, trace, directory / "runs"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
    return _Job(name, errors, process)


@contextmanager
def _stopped_at_the_end() -> Iterator[list[_Job]]:
    jobs: list[_Job] = []
    try:
        yield jobs
    finally:
        for job in jobs:
            job.process.terminate()
        deadline_s = time.monotonic() + _PATIENCE_S
        for job in jobs:
            try:
                job.process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                job.process.kill()
                job.process.wait()


def _compile_one(name: str, trace: str, output: str) -> int:
    """Compile one design in this process and return the exit status."""
    # An exception removes partially written files.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        replay(trace, allocator=name, machine="modern-x86-64", jitter_percent=1.0, output=Path(output))
        compile_loops()
        compile_check(open_trace(Path(trace)))
    except PipelineError as error:
        print(" ".join(str(error).splitlines()), file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(_compile_one(*sys.argv[1:]))
