"""The directory of a sweep. Directories in it appear complete and are never replaced.

sweep.json         version of the format
grid.toml          the most recent grid, with absolute paths
plan.parquet       the runs of this grid with their factors
runs/KEY/          one run, as made by `pipeline replay`
traces/            traces of workloads; may be deleted, and are generated again if needed
claims/            runs in progress, see `claims`
journal/           events of runs, see `journal`
results.parquet    one row for each run, see `results`
tmp/               files being written, by process
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError, OutputError, one_line
from pipeline.io.files import complete_file, output_error
from pipeline.io.json_text import parse_json
from pipeline.io.process import Process
from pipeline.schema.manifest import SWEEP_FILE

SWEEP_FORMAT_VERSION = 1


@dataclass(frozen=True)
class SweepDirectory:
    """The paths in a sweep's directory."""

    path: Path

    @property
    def runs(self) -> Path:
        """Finished runs, by key."""
        return self.path / "runs"

    @property
    def claims(self) -> Path:
        """Directory of claims: a file for each run in progress."""
        return self.path / "claims"

    @property
    def journal(self) -> Path:
        """Directory of the journal: a few files for each process."""
        return self.path / "journal"

    @property
    def grid(self) -> Path:
        """The most recent grid."""
        return self.path / "grid.toml"

    @property
    def plan(self) -> Path:
        """The grid's runs."""
        return self.path / "plan.parquet"

    @property
    def results(self) -> Path:
        """A row for each run."""
        return self.path / "results.parquet"

    def scratch(self, process: Process) -> Path:
        """Directory for the files that a process is writing."""
        return self.path / "tmp" / process.name

    @contextmanager
    def new_directory(self, target: Path, process: Process) -> Iterator[Path]:
        """Yield an empty directory that is renamed to `target` when the block ends without an exception.

        If `target` exists by then, it is kept and the new directory is removed. Raises OutputError.
        """
        draft = self.scratch(process) / target.name
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            yield draft
            if not target.exists():
                try:
                    draft.rename(target)
                except OSError:
                    # Another process was faster.
                    if not target.is_dir():
                        raise
        except OSError as error:
            raise output_error(target, error) from error
        except OutputError as error:
            raise OutputError(str(error).replace(str(draft), str(target))) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    @contextmanager
    def scratch_directory(self, process: Process) -> Iterator[Path]:
        """Yield a directory that is removed at the end with its content. Raises OutputError."""
        try:
            self.scratch(process).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.scratch(process), ignore_cleanup_errors=True) as name:
                yield Path(name)
        except OSError as error:
            raise output_error(self.path, error) from error
        finally:
            shutil.rmtree(self.scratch(process), ignore_errors=True)

    def remove_scratch(self) -> None:
        """Remove leftovers of ended processes of this host."""
        for path in (self.path / "tmp").glob("*"):
            process = Process.parse(path.name)
            if process is not None and process.is_known_dead():
                shutil.rmtree(path, ignore_errors=True)


def open_sweep(path: Path) -> SweepDirectory:
    """Open the directory of an existing sweep. Raises InputError for any other path."""
    try:
        found = parse_json((path / SWEEP_FILE).read_bytes())
        version = int(found["format_version"])
    except FileNotFoundError:
        there = "another directory" if path.is_dir() else "a file" if path.exists() else "no such directory"
        raise InputError(
            f"{path}: expected the directory of a sweep, found {there}; make one with 'pipeline sweep'"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path / SWEEP_FILE}: cannot be read ({one_line(error)}); repeat the sweep in a new directory"
        ) from error
    if version > SWEEP_FORMAT_VERSION:
        raise InputError(
            f"{path}: sweep format {version} is newer than {SWEEP_FORMAT_VERSION}, the newest supported one; "
            "update kmap-pipeline"
        )
    return SweepDirectory(path)


def create_sweep(path: Path) -> SweepDirectory:
    """Open or create the directory of a sweep. Raises OutputError if the path has other content."""
    if not (path / SWEEP_FILE).exists():
        if path.is_dir() and any(path.iterdir()):
            raise OutputError(
                f"{path}: expected a sweep or a new directory, found other files in it; choose another name"
            )
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path}: expected a directory, found a file; choose another name")
        with complete_file(path / SWEEP_FILE) as file:
            file.write_text(json.dumps({"format_version": SWEEP_FORMAT_VERSION}) + "\n", encoding="utf-8")
    sweep = open_sweep(path)
    try:
        for directory in (sweep.runs, sweep.claims, sweep.journal):
            directory.mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
    if not os.access(sweep.journal, os.W_OK):
        raise OutputError(f"{path}: not writable; check its permissions")
    return sweep
