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
    """Return the path of the shipped script."""
    return shipped_folder("traces") / "record.bt"


def bpftrace_commands(command: Sequence[str], output: Path | None) -> str:
    """Return the commands that record `command` and import the recording into `output`.

    Raises UsageError for an argument with a blank, as bpftrace splits its command at blanks.
    """
    if any(" " in word for word in command):
        raise UsageError(
            "bpftrace splits the command at every blank, even in quotes; record a script with the command"
        )
    trace = output or Path("trace.parquet")
    text = shlex.quote(str(trace.with_suffix(".bpftrace.txt")))
    program = [shutil.which(command[0]) or command[0], *command[1:]] if command else ["COMMAND"]
    return (
        f"sudo env BPFTRACE_PERF_RB_PAGES={_BUFFER_PAGES} bpftrace -q -o {text} "
        f"-c {shlex.quote(' '.join(program))} {shlex.quote(str(script_path()))}\n"
        f"pipeline import {text} -o {shlex.quote(str(trace))}"
    )
