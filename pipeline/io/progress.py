"""Progress on standard error, only on a terminal; a bar appears after one second of work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOW_AFTER_S = 1.0
REFRESH_S = 0.1


@contextmanager
def progress(label: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield `advance(n)`, to be called whenever `n` more units are done.

    `label` names the work ("importing"); `total` is the total amount in `unit` ("rows"), None if unknown. The
    bar disappears when the block ends, also on errors. Nothing is written to standard output.
    """
    if not sys.stderr.isatty():
        yield _ignore
        return
    bar = _Bar(label, total, unit)
    try:
        yield bar.advance
    finally:
        bar.close()


@contextmanager
def spinners() -> Iterator[tuple[Callable[[str], None], Callable[[str], None]]]:
    """Yield `begin(name)` and `end(name)`; each name is shown with its elapsed time until it ends.

    Names are shown only on a terminal, below other output, and disappear when the block ends.
    """
    if not sys.stderr.isatty():
        yield _ignore, _ignore
        return
    from rich.console import Console  # noqa: PLC0415 - takes 0.1 s to load
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    # Standard output is redirected if it is a terminal too, so its lines appear above the spinners.
    shown = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty(),
    )  # fmt: skip
    with shown:
        tasks: dict[str, TaskID] = {}

        def begin(name: str) -> None:
            tasks[name] = shown.add_task(name, total=None)

        def end(name: str) -> None:
            if name in tasks:
                shown.remove_task(tasks.pop(name))

        yield begin, end


def _ignore(_: object) -> None:
    """Do nothing: standard error is not a terminal."""


class _Bar:
    """A rich progress bar that is created at the first `advance` after SHOW_AFTER_S."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._done = 0
        self._started_s = time.monotonic()
        self._due_s = self._started_s + SHOW_AFTER_S
        self._shown: Progress | None = None

    def advance(self, amount: int) -> None:
        self._done += amount
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + REFRESH_S
        if self._shown is None:
            self._shown = self._show()
        rate = self._done / (now_s - self._started_s)
        said = f"{rate:,.0f} {self._unit}/s" if rate >= 1 else ""
        self._shown.update(self._shown.task_ids[0], completed=self._done, rate=said)

    def close(self) -> None:
        if self._shown is not None:
            self._shown.stop()

    def _show(self) -> Progress:
        # Imported here because most commands end before a bar is due, and rich takes 0.1 s to load.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        amount = "{task.completed:,.0f}" + (" of {task.total:,.0f}" if self._total is not None else "")
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn(f"{amount} {self._unit}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        bar.add_task(self._label, total=self._total, rate="")
        bar.start()
        return bar
