from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest

PROGRAM = """
import sys, time
from pipeline.io.progress import progress
with progress("counting", 1000, "rows") as advance:
    for _ in range(10):
        time.sleep({pause})
        advance(100)
print("rich" in sys.modules)
"""


def run(pause: float, terminal: bool) -> tuple[str, str]:
    """Run PROGRAM; give its stdout and what it wrote to stderr, a terminal or a pipe."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(pause=pause)],
        stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment,
    )  # fmt: skip
    os.close(theirs)
    stdout, _ = child.communicate(timeout=60)
    shown = b""
    try:
        while block := os.read(ours, 4096):
            shown += block
    except OSError:  # a terminal whose other end is closed
        pass
    os.close(ours)
    return stdout.strip(), shown.decode()


@pytest.mark.parametrize(("pause", "terminal"), [(0.0, True), (0.12, False)])
def test_nothing_is_shown_or_loaded_for_short_work_or_without_a_terminal(pause, terminal) -> None:
    assert run(pause, terminal) == ("False", "")


def test_long_work_shows_amount_and_rate_on_stderr_only() -> None:
    stdout, shown = run(0.13, terminal=True)
    assert stdout == "True"
    assert "counting" in shown
    assert "of 1,000 rows" in shown
    assert "rows/s" in shown


def test_advancing_is_cheap() -> None:
    from pipeline.io.progress import _Bar

    bar = _Bar("x", None, "rows")
    started_s = time.perf_counter()
    for _ in range(10_000):
        bar.advance(1)
    assert time.perf_counter() - started_s < 0.5
