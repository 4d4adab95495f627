"""Progress of a sweep: a bar on a terminal, lines elsewhere, and the names of failed runs on both."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pipeline.errors import FindingError, InputError
from pipeline.io.numbers import format_count
from pipeline.io.progress import progress, spinners
from pipeline.sweeps.grid import Grid
from pipeline.sweeps.maker import Made
from pipeline.sweeps.plan import PlannedRun
from pipeline.sweeps.sweep import Observer, SweepResult, sweep

_EVERY_S = 10.0
_FAILURES_SHOWN = 20


class _Lines:
    """Lines on standard error if it is not a terminal, at most one every _EVERY_S seconds."""

    def __init__(self) -> None:
        self.total = self.done = self.failures = 0
        self.begun_s = self.told_s = time.monotonic()

    def plan(self, runs: int, there: int, todo: int) -> None:
        self.total = todo
        if there:
            _say(f"{there:,} of {format_count(runs, 'run')} exist")

    def made(self, run: PlannedRun, made: Made) -> None:
        self.done += 1
        if made.state in ("failed", "poison"):
            self.failures += 1
            if self.failures <= _FAILURES_SHOWN:
                _say(f"{made.state} {made.key} {run.describe()}: {made.line}")
        now_s = time.monotonic()
        if not sys.stderr.isatty() and now_s - self.told_s >= _EVERY_S:
            self.told_s = now_s
            rate = self.done / (now_s - self.begun_s)
            left_s = (self.total - self.done) / rate
            _say(f"{self.done:,} of {self.total:,} made, {rate:,.3g} runs/s, about {left_s:,.0f} s left")


def sweep_and_tell(grid: Grid, output: Path, **settings: Any) -> None:
    """Make the runs of a grid with progress on standard error; print the directory and the result.

    The settings are those of `sweep`. Raises InputError if runs failed, FindingError if runs ended with a
    finding, and the errors of `sweep`.
    """
    lines = _Lines()
    with ExitStack() as shown:
        begin, end = shown.enter_context(spinners())
        advance: Callable[[int], None] | None = None

        def compiling(name: str) -> None:
            _say(f"compiling {name} (only before its first run) ...")
            begin(name)

        def made(run: PlannedRun, what: Made) -> None:
            nonlocal advance
            if advance is None:
                # The spinners end before the bar begins.
                shown.close()
                advance = shown.enter_context(progress("sweeping", lines.total, "runs"))
            lines.made(run, what)
            advance(1)

        observer = Observer(lines.plan, compiling, lambda done: end(done.allocator), made)
        result = sweep(grid, output, observer=observer, **settings)
    _say(summarize(result))
    print(result.path)
    _raise_failures(result)


def summarize(result: SweepResult) -> str:
    """Summarise the result in one or two lines."""
    text = f"{result.done:,} of {format_count(result.runs, 'run')} are done, {result.made:,} of them new"
    if result.theirs:
        text += f"\n{format_count(len(result.theirs), 'run')} in progress in other processes"
    return text


def _raise_failures(result: SweepResult) -> None:
    if result.failed or result.poison:
        poison = (
            f", {result.poison:,} of them ended every process that attempted them" if result.poison else ""
        )
        raise InputError(
            f"{format_count(result.failed + result.poison, 'run')} of {result.runs:,} have failed{poison}; "
            f"'pipeline sweep status {result.path}' lists them, --only failed repeats them"
        )
    if result.findings:
        raise FindingError(
            f"{format_count(result.findings, 'run')} ended with findings; "
            f'pipeline sql --runs {result.path} "FROM results WHERE findings > 0" lists them'
        )


def _say(text: str) -> None:
    for line in text.splitlines():
        print(line, file=sys.stderr, flush=True)
