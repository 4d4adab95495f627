"""The interface of recorders, and obstacles to their use."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
    """Run a command without output; return None if it succeeds, else the first line of its output."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return said[0] if said else f"it ended with status {done.returncode}"
