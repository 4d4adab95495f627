"""The directory of a sweep: what lies where, and directories in it that appear whole and are never replaced.

sweep.json         version of the format
grid.toml          the grid that was asked for last; names of files are absolute
plan.parquet       its runs with their factors
runs/KEY/          a run each, as `pipeline replay` makes them
traces/            traces of workloads; may be deleted, what is needed is made again
claims/            runs under way, see `claims`
journal/           what became of runs, see `journal`
results.parquet    a row for each run, see `results`
tmp/               what is being written, by the process that writes it
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
    """Paths in a sweep's directory."""

    path: Path

    @property
    def runs(self) -> Path:
        """Finished runs, by key."""
        return self.path / "runs"

    @property
    def claims(self) -> Path:
        """Runs under way, a file each."""
        return self.path / "claims"

    @property
    def journal(self) -> Path:
        """What became of runs, a few files for each process."""
        return self.path / "journal"

    @property
    def grid(self) -> Path:
        """The grid that was asked for last."""
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
        """What a process is writing."""
        return self.path / "tmp" / process.name

    @contextmanager
    def new_directory(self, target: Path, process: Process) -> Iterator[Path]:
        """Yield an empty directory that becomes `target` when the block ends well.

        If `target` is there by then it stays, and the new one is dropped. Raises OutputError.
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
                    # Another process was quicker.
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
        """Yield a directory that is removed at the end, with whatever is in it. Raises OutputError."""
        try:
            self.scratch(process).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.scratch(process), ignore_cleanup_errors=True) as name:
                yield Path(name)
        except OSError as error:
            raise output_error(self.path, error) from error
        finally:
            shutil.rmtree(self.scratch(process), ignore_errors=True)

    def remove_scratch(self) -> None:
        """Remove what processes of this host left that are gone."""
        for path in (self.path / "tmp").glob("*"):
            process = Process.parse(path.name)
            if process is not None and process.is_known_dead():
                shutil.rmtree(path, ignore_errors=True)


def open_sweep(path: Path) -> SweepDirectory:
    """Open the directory of a sweep that is there. Raises InputError for what is none."""
    try:
        found = parse_json((path / SWEEP_FILE).read_bytes())
        version = int(found["format_version"])
    except FileNotFoundError:
        there = "another directory" if path.is_dir() else "a file" if path.exists() else "no such directory"
        raise InputError(
            f"{path}: wanted the directory of a sweep, found {there}; 'pipeline sweep GRID -o DIR' makes one"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path / SWEEP_FILE}: cannot be read ({one_line(error)}); make the sweep again"
        ) from error
    if version > SWEEP_FORMAT_VERSION:
        raise InputError(
            f"{path}: sweep format {version} is newer than the {SWEEP_FORMAT_VERSION} of this version; "
            "update kmap-pipeline"
        )
    return SweepDirectory(path)


def create_sweep(path: Path) -> SweepDirectory:
    """Open the directory of a sweep, or make it. Raises OutputError where something else lies."""
    if not (path / SWEEP_FILE).exists():
        if path.is_dir() and any(path.iterdir()):
            raise OutputError(
                f"{path}: wanted a sweep or a new directory, found other files in it; choose another"
            )
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path}: wanted a directory, found a file; choose another name")
        with complete_file(path / SWEEP_FILE) as file:
            file.write_text(json.dumps({"format_version": SWEEP_FORMAT_VERSION}) + "\n", encoding="utf-8")
    sweep = open_sweep(path)
    try:
        for directory in (sweep.runs, sweep.claims, sweep.journal):
            directory.mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
    if not os.access(sweep.journal, os.W_OK):
        raise OutputError(f"{path}: may not be written; check its permissions")
    return sweep
