"""A directory of runs as a collection: listing its runs, and removing runs and leftovers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.errors import InputError
from pipeline.io.files import output_error
from pipeline.io.tables import align_columns
from pipeline.runs.store import Run, find_runs, is_sweep
from pipeline.schema.manifest import MANIFEST_FILE

TRACES = "traces"
"""Name of the folder for generated traces in a directory of runs."""

# A directory that has not changed for this long is not being written.
_LEFT_S = 3_600


@dataclass(frozen=True)
class Leftover:
    """A directory to remove, with the reason and its size in bytes."""

    path: Path
    why: str
    size: int


def list_runs(paths: Sequence[Path]) -> str:
    """Return a line for each run: directory, label, trace, machine, log, size and date."""
    head = ("run", "label", "trace", "machine", "CPUs", "loop", "seed", "log", "MB", "made", "findings")
    return align_columns([head, *(_row(run) for run in find_runs(paths))], right=(4, 6, 8, 10))


def _row(run: Run) -> tuple[str, ...]:
    manifest = run.manifest
    return (
        _short(run.directory), manifest.label, manifest.trace.name, manifest.machine.name,
        str(manifest.machine.cpus), manifest.loop, str(manifest.seed), manifest.events,
        f"{_size(run.directory) / 1e6:,.1f}", manifest.execution.started[:16].replace("T", " "),
        str(len(manifest.findings) or ""),
    )  # fmt: skip


def remove_runs(paths: Sequence[Path]) -> list[Leftover]:
    """Remove runs, given by their directories. Nothing is removed unless all of them are runs.

    Raises InputError for a path that is not a run's directory.
    """
    for path in paths:
        if not (path / MANIFEST_FILE).is_file():
            raise InputError(
                f"{path}: expected the directory of a run, found no {MANIFEST_FILE}; nothing was removed"
            )
    removed = [Leftover(path, "run", _size(path)) for path in dict.fromkeys(paths)]
    remove(removed)
    return removed


def find_leftovers(directory: Path, older_than_days: float | None = None) -> list[Leftover]:
    """Return what can be removed from a directory of runs: leftovers of interrupted runs, and unused traces.

    With `older_than_days`, older runs are included. Raises InputError for a directory without runs and for a
    sweep, whose runs belong together.
    """
    if is_sweep(directory):
        raise InputError(f"{directory}: is a sweep; remove the whole directory instead of single runs")
    runs = find_runs([directory])
    earliest = datetime.now(UTC) - timedelta(days=older_than_days or 0)
    found: list[Leftover] = []
    used: set[Path] = set()
    for run in runs:
        if older_than_days is not None and datetime.fromisoformat(run.manifest.execution.started) < earliest:
            why = f"made {run.manifest.execution.started[:10]}"
            found.append(Leftover(directory / run.directory.name, why, _size(run.directory)))
        else:
            used.add(Path(run.manifest.trace.path).resolve().parent)
    now_s = time.time()
    for path in sorted(directory.glob(".*.partial")):
        if now_s - path.stat().st_mtime > _LEFT_S:
            found.append(Leftover(path, "left by an interrupted run", _size(path)))
    for path in sorted((directory / TRACES).glob("*/")):
        if path.resolve() not in used:
            found.append(Leftover(path, "trace without a run", _size(path)))
    return found


def remove(leftovers: Sequence[Leftover]) -> None:
    """Remove directories from disk. Raises OutputError."""
    for leftover in leftovers:
        try:
            if leftover.path.is_dir():
                shutil.rmtree(leftover.path)
            else:
                leftover.path.unlink()
        except OSError as error:
            raise output_error(leftover.path, error) from error


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
