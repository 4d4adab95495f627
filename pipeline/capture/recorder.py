"""What a recorder is, and what it may lack."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Obstacle:
    """Something that keeps a recorder from working here, and the command or step that helps."""

    what: str
    mend: str

    def __str__(self) -> str:
        """Both, as one clause."""
        return f"{self.what}; {self.mend}"


@dataclass(frozen=True)
class Recording:
    """A recording: text in an importable format, which says what was lost, and how the command ended."""

    text: Path
    format: str
    exit_status: int


class Recorder(Protocol):
    """A way of recording a command."""

    name: str

    def find_obstacles(self, scratch: Path) -> list[Obstacle]:
        """Find what keeps it from working here, by trying it out; nothing if it works."""

    def record(self, command: Sequence[str], scratch: Path) -> Recording:
        """Run `command` and record it into directory `scratch`. Raises InputError if the recorder fails."""


def find_failure(arguments: Sequence[str]) -> str | None:
    """Run a command without output; None if it succeeds, else the first line it said."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return said[0] if said else f"it ended with status {done.returncode}"
