"""The script that records with bpftrace, and the command that runs it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.io.resources import shipped_folder

_BUFFER_PAGES = 8192


def script_path() -> Path:
    """Where the shipped script is."""
    return shipped_folder("traces") / "record.bt"


def bpftrace_commands(command: Sequence[str], output: Path | None) -> str:
    """Lines to run: the recording of `command`, and its import into `output`.

    Raises UsageError for an argument with a blank: bpftrace splits its command at each.
    """
    if any(" " in word for word in command):
        raise UsageError(
            "bpftrace splits the command at every blank, quoted or not; put it into a script and record that"
        )
    trace = output or Path("trace.parquet")
    text = shlex.quote(str(trace.with_suffix(".bpftrace.txt")))
    program = [shutil.which(command[0]) or command[0], *command[1:]] if command else ["COMMAND"]
    return (
        f"sudo env BPFTRACE_PERF_RB_PAGES={_BUFFER_PAGES} bpftrace -q -o {text} "
        f"-c {shlex.quote(' '.join(program))} {shlex.quote(str(script_path()))}\n"
        f"pipeline import {text} -o {shlex.quote(str(trace))}"
    )
