"""Finding run directories and reading their manifests, with a name for each run that is unique in its set."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import InputError
from pipeline.files import readable_file
from pipeline.runs.schema import (
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
        found = "a file" if path.exists() else "no such directory"
        raise InputError(
            f"{path}: wanted a run directory or a directory of runs, found {found}; "
            "'pipeline replay' makes runs, or give --runs"
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
    taken: set[str] = set()
    for position, name in enumerate(names):
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name} #{number}"
        names[position] = free
        taken.add(free)
    return names
