"""The interface of recorders, obstacles to their use, and running commands for them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import UsageError

# A line of only this precedes perf's reason.
_HEADING = "Error:"


@dataclass(frozen=True)
class Obstacle:
    """An obstacle to using a recorder, and the command or step that removes it."""

    what: str
    mend: str

    def __str__(self) -> str:
        """Return both as one clause."""
        return f"{self.what}; {self.mend}"


@dataclass(frozen=True)
class Recording:
    """A recording: text in an importable format, including losses, and the exit status of the command.

    `scope` says in words what was recorded of the command.
    """

    text: Path
    format: str
    exit_status: int
    scope: str = "recorded"


class Recorder(Protocol):
    """A way of recording a command."""

    name: str

    def find_obstacles(self, scratch: Path) -> list[Obstacle]:
        """Try the recorder, and return the obstacles to its use."""

    def record(self, command: Sequence[str], scratch: Path) -> Recording:
        """Run `command` and record it into directory `scratch`. Raises InputError if the recorder fails."""


def find_failure(arguments: Sequence[str]) -> str | None:
    """Run a command without output; return None if it succeeds, else the first reason in its output."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = [line.strip() for line in (done.stderr + done.stdout).splitlines()]
    reasons = [line for line in said if line not in ("", _HEADING)]
    return reasons[0] if reasons else f"it ended with status {done.returncode}"


def run_command(command: Sequence[str]) -> int:
    """Run a command, and return its exit status as a shell gives it: 128 and the signal if one ended it.

    Raises UsageError if the kernel cannot run the command.
    """
    try:
        status = subprocess.run(command, check=False).returncode
    except OSError as error:
        raise UsageError(
            f"{command[0]}: cannot be run ({error.strerror}); check the file, or run it with its interpreter"
        ) from error
    return status if status >= 0 else 128 - status
