"""The journal of a sweep: lines of JSON, appended by each process to its own files.

A few files describe all runs. `states` has a short line for each event of a run. `totals` has a longer line
with the factors and results of each finished run. A process that is killed while it appends leaves an
incomplete last line, which is ignored.
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
"""done; failed: with an error; lost: its process ended; poison: abandoned, as it ended its processes; again:
to be repeated, without counting earlier attempts."""


@dataclass
class RunState:
    """The state of a run: its last event, and the number of lost attempts."""

    state: Happening = "again"
    at_s: float = 0.0
    lost: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether the run is made only on request."""
        return self.state in ("done", "failed", "poison")


class Journal:
    """The files of one process."""

    def __init__(self, sweep: SweepDirectory, process: Process) -> None:
        """Prepare the files, which are created with the first event."""
        self._sweep, self._process = sweep, process
        self._files: dict[str, int] = {}

    def note(self, key: str, state: Happening, **facts: Any) -> None:
        """Append an event of a run. Raises OutputError."""
        line = {"key": key, "state": state, "at": time.time(), "host": self._process.host, **facts}
        self._append("states", line)

    def note_totals(self, row: Mapping[str, Any]) -> None:
        """Append the results of a finished run. Raises OutputError."""
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
            # A new line must not continue an incomplete one.
            self.close()
            raise output_error(path, error) from error

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.popitem()[1])


def read_states(sweep: SweepDirectory) -> dict[str, RunState]:
    """Return the state of every run that has events."""
    states: dict[str, RunState] = {}
    for line in sorted(_lines(sweep, "states"), key=lambda line: line["at"]):
        known = states.setdefault(line["key"], RunState())
        if known.state == "done":
            continue
        known.state, known.at_s, known.facts = line["state"], line["at"], line
        known.lost = 0 if known.state == "again" else known.lost + (known.state == "lost")
    return states


def read_totals(sweep: SweepDirectory) -> dict[str, dict[str, Any]]:
    """Return factors and results of every finished run."""
    return {line["key"]: line for line in _lines(sweep, "totals")}


def history(sweep: SweepDirectory, key: str) -> list[dict[str, Any]]:
    """Return all events of a run, in order."""
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
        # Parsing all lines together takes a tenth of the time.
        return list(json.loads(b"[" + b",".join(lines) + b"]"))
    except (ValueError, RecursionError):
        return [line for line in map(_parse, lines) if line is not None]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
