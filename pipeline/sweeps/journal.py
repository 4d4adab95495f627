"""What became of the runs of a sweep: lines of JSON, appended by each process to files of its own.

One look at a few files tells of all runs, however many there are. `states` has a short line for each thing
that happened to a run; `totals` a longer one with the factors and figures of each run that is done. A process
that is killed while it appends leaves a torn last line, which is passed over.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.io.files import output_error
from pipeline.io.process import Process
from pipeline.sweeps.directory import SweepDirectory

Happening = Literal["done", "failed", "lost", "poison", "again"]
"""done; failed by an error of its own; lost with the process that made it; poison: given up, as it ended its
processes; again: to be made once more, former attempts do not count."""


@dataclass
class RunState:
    """What is known of a run: the last that happened to it, and how many attempts were lost."""

    state: Happening = "again"
    at_s: float = 0.0
    lost: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether it is not to be made unless asked for."""
        return self.state in ("done", "failed", "poison")


class Journal:
    """The files of one process."""

    def __init__(self, sweep: SweepDirectory, process: Process) -> None:
        """Open nothing yet: a process to whose runs nothing happens leaves no file."""
        self._sweep, self._process = sweep, process
        self._files: dict[str, int] = {}

    def note(self, key: str, state: Happening, **facts: Any) -> None:
        """Append what happened to a run. Raises OutputError."""
        line = {"key": key, "state": state, "at": time.time(), "host": self._process.host, **facts}
        self._append("states", line)

    def note_totals(self, row: Mapping[str, Any]) -> None:
        """Append the figures of a run that is done. Raises OutputError."""
        self._append("totals", row)

    def _append(self, kind: str, line: Mapping[str, Any]) -> None:
        path = self._sweep.journal / f"{self._process.name}.{kind}.jsonl"
        text = (json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
        try:
            if kind not in self._files:
                self._files[kind] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            if os.write(self._files[kind], text) != len(text):
                raise OSError(errno.ENOSPC, "")
        except OSError as error:
            # Later lines must not follow a torn one.
            self.close()
            raise output_error(path, error) from error

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.popitem()[1])


def read_states(sweep: SweepDirectory) -> dict[str, RunState]:
    """What is known of every run to which anything happened."""
    states: dict[str, RunState] = {}
    for line in sorted(_lines(sweep, "states"), key=lambda line: line["at"]):
        known = states.setdefault(line["key"], RunState())
        if known.state == "done":
            continue
        known.state, known.at_s, known.facts = line["state"], line["at"], line
        known.lost = 0 if known.state == "again" else known.lost + (known.state == "lost")
    return states


def read_totals(sweep: SweepDirectory) -> dict[str, dict[str, Any]]:
    """Factors and figures of every run that is done."""
    return {line["key"]: line for line in _lines(sweep, "totals")}


def history(sweep: SweepDirectory, key: str) -> list[dict[str, Any]]:
    """Everything that happened to a run, in order."""
    return sorted(
        (line for line in _lines(sweep, "states") if line["key"] == key), key=lambda line: line["at"]
    )


def _lines(sweep: SweepDirectory, kind: str) -> Iterator[dict[str, Any]]:
    for path in sorted(sweep.journal.glob(f"*.{kind}.jsonl")):
        yield from _read(path)


def _read(path: Path) -> Iterable[dict[str, Any]]:
    lines = path.read_bytes().split(b"\n")
    if not lines[-1]:
        lines.pop()
    try:
        # All at once takes a tenth of the time of one by one.
        return list(json.loads(b"[" + b",".join(lines) + b"]"))
    except (ValueError, RecursionError):
        return [line for line in map(_parse, lines) if line is not None]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
