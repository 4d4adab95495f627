"""Finding runs and recordings and reading manifests, with a name for each that is unique in its set."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import InputError
from pipeline.importing.kmap_pool.events import shipped_recordings
from pipeline.io.files import readable_file
from pipeline.io.resources import shipped_files
from pipeline.schema.run import (
    EVENTS_FILE,
    MANIFEST_FILE,
    OPERATIONS_FILE,
    RUN_FORMAT_VERSION,
    Manifest,
)


@dataclass(frozen=True)
class RunFound:
    """One run: the name it goes by in this set, its directory and what its manifest says."""

    name: str
    directory: Path
    manifest: Manifest

    @property
    def has_log(self) -> bool:
        """Whether the run kept its two tables."""
        return self.manifest.events == "full"


@dataclass(frozen=True)
class RecordingFound:
    """A recording of the kernel's own pool: the name it goes by, its file, and whether it is shipped."""

    name: str
    path: Path
    shipped: bool


def find(paths: Sequence[Path]) -> list[RunFound | RecordingFound]:
    """Find the runs and recordings that `paths` name, in their order.

    A run directory or a directory of them is found as by `find_runs`; a file other than a manifest, or the
    name of a shipped recording of the pool (traces/pool), is a recording. One named twice is found once.
    """
    shipped = shipped_recordings()
    recordings: dict[Path, str] = {}
    of_path: list[tuple[Path, bool]] = []
    for path in paths:
        file = path if path.is_file() else shipped.get(str(path)) if not path.exists() else None
        if file is None or file.name == MANIFEST_FILE:
            of_path.append((path, False))
        elif file.resolve() not in recordings:
            of_path.append((file.resolve(), True))
            recordings[file.resolve()] = file.name.removesuffix(".parquet").removesuffix(".kmap")
    found: list[RunFound | RecordingFound] = []
    runs = find_runs([path for path, recording in of_path if not recording])
    names = iter(_made_unique([*(run.name for run in runs), *recordings.values()])[len(runs) :])
    waiting = {run.directory: run for run in runs}
    for path, recording in of_path:
        if recording:
            found.append(RecordingFound(next(names), path, path in {p.resolve() for p in shipped.values()}))
            continue
        inside = {directory.resolve() for directory in _run_directories(path)}
        found += [waiting.pop(directory) for directory in list(waiting) if directory in inside]
    return found


def find_runs(paths: Sequence[Path]) -> list[RunFound]:
    """Read every run that `paths` name: run directories, or directories that hold run directories.

    A run named twice is read once. The order is that of `paths`, and within one that in which the runs were
    made, so that a report compares them as they were thought of. A path without a run, a broken manifest, a
    missing table and a newer run format raise InputError.
    """
    found: dict[Path, Manifest] = {}
    for path in paths:
        inside = [(read_manifest(directory), directory.resolve()) for directory in _run_directories(path)]
        for manifest, directory in sorted(inside, key=lambda run: (run[0].execution.started, run[1])):
            found.setdefault(directory, manifest)
    manifests = list(found.items())
    names = unique_names([manifest for _, manifest in manifests])
    return [
        RunFound(name, directory, manifest)
        for name, (directory, manifest) in zip(names, manifests, strict=True)
    ]


def _run_directories(path: Path) -> list[Path]:
    if (path / MANIFEST_FILE).exists():
        return [path]
    if path.name == MANIFEST_FILE and path.is_file():
        return [path.parent]
    if not path.is_dir():
        if path.exists():
            found = "a file"
        elif str(path) in shipped_recordings() or str(path) in shipped_files("traces", ".parquet"):
            found = "the name of a shipped recording"
        else:
            found = "no such directory"
        raise InputError(
            f"{path}: wanted a run directory or a directory of runs, found {found}; 'pipeline replay' makes "
            "runs of traces; recordings of the kernel's own pool are for 'pipeline sql' and 'pipeline db'"
        )
    # A name that begins with a dot is a run being written.
    inside = [
        child
        for child in sorted(path.iterdir())
        if not child.name.startswith(".") and (child / MANIFEST_FILE).exists()
    ]
    if not inside:
        raise InputError(
            f"{path}: wanted a run directory or a directory of runs, found no {MANIFEST_FILE} in it or one "
            "level below; 'pipeline replay' makes runs"
        )
    return inside


def read_manifest(directory: Path) -> Manifest:
    """Read and check one run directory's manifest, and that the tables it promises are there."""
    path = readable_file(directory / MANIFEST_FILE, "a run's manifest")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not JSON ({error}); make the run again") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > RUN_FORMAT_VERSION:
        raise InputError(
            f"{path}: run format {version} is newer than the {RUN_FORMAT_VERSION} that this version reads; "
            "update kmap-pipeline or make the run again with this one"
        )
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise InputError(
            f"{path}: not a run's manifest: {where}: {first['msg']} "
            f"({error.error_count()} such places); make the run again"
        ) from error
    if manifest.events == "full":
        for table in (OPERATIONS_FILE, EVENTS_FILE):
            readable_file(directory / table, "a table of the run's log, as its manifest says")
    return manifest


# What may tell two runs of one label apart, in the order in which it is added to their names.
_DISTINCTIONS: tuple[Callable[[Manifest], str], ...] = (
    lambda m: m.trace.name,
    lambda m: m.machine.name,
    lambda m: f"{m.machine.cpus} CPUs",
    lambda m: m.loop,
    lambda m: f"seed {m.seed}",
    lambda m: f"log {m.events}",
)


def unique_names(manifests: Sequence[Manifest]) -> list[str]:
    """One name per run: its label, and where labels collide also what the runs differ in.

    Two runs of `global_pool` with other seeds become `global_pool, seed 1` and `global_pool, seed 2`; runs
    that differ in nothing are numbered.
    """
    by_label: dict[str, list[int]] = defaultdict(list)
    for position, manifest in enumerate(manifests):
        by_label[manifest.label].append(position)
    names = [manifest.label for manifest in manifests]
    for members in by_label.values():
        for distinction in _DISTINCTIONS:
            if len({names[i] for i in members}) == len(members):
                break
            words = {i: distinction(manifests[i]) for i in members}
            if len(set(words.values())) > 1:
                for i in members:
                    names[i] = f"{names[i]}, {words[i]}"
    return _made_unique(names)


def _made_unique(names: Sequence[str]) -> list[str]:
    """Number those names that come again."""
    free: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in free:
            number += 1
            candidate = f"{name} #{number}"
        free.append(candidate)
    return free
