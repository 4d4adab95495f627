"""Small sweeps in plain Python, and designs that sleep, fail or kill the process that runs them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.sweeps.directory import SweepDirectory, open_sweep
from pipeline.sweeps.grid import Grid, make_grid
from pipeline.sweeps.journal import RunState, read_states
from pipeline.sweeps.sweep import Means, SweepResult, sweep
from tests.cli.command import PIPELINE

OPERATIONS = 100
BASE: dict[str, Any] = {
    "trace": "kernel_build", "operations": OPERATIONS, "allocator": "direct_map", "machine": "modern-x86-64",
}  # fmt: skip

_DESIGN = """
import os, signal, time
from pathlib import Path
from pipeline.allocators.api.actions import DONE
SUMMARY = 'a design that does what a test wants'
def map_step(a, r, d):
    {step}
    return DONE
def unmap_step(a, r, d):
    return DONE
"""
KILLS = "os.kill(os.getpid(), signal.SIGKILL)"
FAILS = "raise ValueError('this design fails')"
# Some ten seconds for a run.
SLEEPS = "time.sleep(0.1)"


def design(directory: Path, name: str, step: str) -> str:
    path = directory / f"{name}.py"
    path.write_text(_DESIGN.format(step=step))
    return str(path)


def grid(**change: Any) -> Grid:
    return make_grid(BASE | change)


def swept(
    output: Path,
    *,
    means: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    **change: Any,
) -> SweepResult:
    """A sweep in plain Python with two workers."""
    chosen = Means(**{"workers": 2, "compiled": False} | (means or {}))
    return sweep(grid(**change), output, means=chosen, **(settings or {}))


def states(output: Path) -> dict[str, RunState]:
    return read_states(open_sweep(output))


def lines(sweep: SweepDirectory | Path) -> list[str]:
    """All lines of the journals' states."""
    path = sweep if isinstance(sweep, Path) else sweep.path
    return [
        line for file in (path / "journal").glob("*.states.jsonl") for line in file.read_text().splitlines()
    ]


def start(cwd: Path, *words: Any) -> subprocess.Popen[str]:
    """A sweep as a command of its own, plain."""
    command = [PIPELINE, "sweep", *map(str, words), "--no-compile"]
    return subprocess.Popen(
        list(map(str, command)), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until(
    met: Callable[[], Any], process: subprocess.Popen[str] | None = None, most_s: float = 60
) -> None:
    deadline_s = time.monotonic() + most_s
    while not met():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Workers of a sweep: its children but for the tracker of multiprocessing."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
