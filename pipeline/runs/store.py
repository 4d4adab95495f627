"""Finding runs and recordings and reading manifests, with a name for each that is unique in its set."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import InputError
from pipeline.io.files import readable_file
from pipeline.io.resources import shipped_files, shipped_recordings
from pipeline.schema.run import MANIFEST_FILE, RUN_FORMAT_VERSION, SWEEP_FILE, Manifest


@dataclass(frozen=True)
class Run:
    """One run: the name it goes by in this set, its directory and what its manifest says."""

    name: str
    directory: Path
    manifest: Manifest

    @property
    def has_log(self) -> bool:
        """Whether the run kept its log."""
        return self.manifest.events != "none"


@dataclass(frozen=True)
class Recording:
    """A recording of the kernel's own pool: the name it goes by, its file, and whether it is shipped."""

    name: str
    path: Path
    shipped: bool


def find(paths: Sequence[Path]) -> list[Run | Recording]:
    """Find the runs and recordings that `paths` name, in their order.

    A run directory or a directory of them is found as by `find_runs`; a file other than a manifest, or the
    name of a shipped recording of the pool (traces/pool), is a recording. One named twice is found once.
    """
    return _find(paths, shipped_recordings())


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Read every run that `paths` name: run directories, or directories that hold run directories.

    A run named twice is read once. The order is that of `paths`, and within one that in which the runs were
    made, so that a report compares them as they were thought of. A path without a run, a broken manifest, a
    missing table and a newer run format raise InputError.
    """
    return [found for found in _find(paths, None) if isinstance(found, Run)]


def _find(paths: Sequence[Path], shipped: dict[str, Path] | None) -> list[Run | Recording]:
    """Find runs, and recordings too if the shipped ones are given by name."""
    manifests: dict[Path, Manifest | None] = {}
    for path in paths:
        file = None
        if shipped is not None:
            file = path if path.is_file() else None if path.exists() else shipped.get(str(path))
        if file is None or file.name == MANIFEST_FILE:
            manifests = manifests | _read_runs(path) | manifests
        else:
            manifests.setdefault(file.resolve(), None)
    runs = {place: manifest for place, manifest in manifests.items() if manifest is not None}
    recordings = [place for place in manifests if place not in runs]
    stems = [place.name.removesuffix(".parquet").removesuffix(".kmap") for place in recordings]
    unique = _number([*unique_names([*runs.values()]), *stems])
    names = dict(zip([*runs, *recordings], unique, strict=True))
    known = {file.resolve() for file in (shipped or {}).values()}
    return [
        Run(names[place], place, runs[place])
        if place in runs
        else Recording(names[place], place, place in known)
        for place in manifests
    ]


def _read_runs(path: Path) -> dict[Path, Manifest]:
    """Manifests of the runs at `path` or one level below, in the order in which the runs were made."""
    if (path / MANIFEST_FILE).exists():
        directories = [path]
    elif path.name == MANIFEST_FILE and path.is_file():
        directories = [path.parent]
    elif path.is_dir():
        # A name that begins with a dot is a run being written.
        inside = path / "runs" if is_sweep(path) else path
        directories = [file.parent for file in sorted(inside.glob(f"[!.]*/{MANIFEST_FILE}"))]
        if not directories:
            raise InputError(
                f"{path}: wanted a run directory or a directory of runs, found no {MANIFEST_FILE} in it or "
                "one level below; 'pipeline replay' makes runs"
            )
    else:
        if path.exists():
            there = "a file"
        elif str(path) in shipped_recordings() or str(path) in shipped_files("traces", ".parquet"):
            there = "the name of a shipped recording"
        else:
            there = "no such directory"
        raise InputError(
            f"{path}: wanted a run directory or a directory of runs, found {there}; 'pipeline replay' makes "
            "runs of traces; recordings of the kernel's own pool are for 'pipeline sql' and 'pipeline db'"
        )
    runs = [(read_manifest(directory), directory.resolve()) for directory in directories]
    runs.sort(key=lambda run: (run[0].execution.started, run[1]))
    return {directory: manifest for manifest, directory in runs}


def is_sweep(path: Path) -> bool:
    """Whether a directory is a sweep's, whose runs are in its directory `runs`."""
    return (path / SWEEP_FILE).is_file()


def read_finished_manifest(directory: Path) -> Manifest | None:
    """Manifest of a run that is there and whole, else None."""
    try:
        return Manifest.model_validate_json((directory / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


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
    for file in itertools.chain(*manifest.log_files.values()):
        readable_file(directory / file, "a table of the run's log, as its manifest says")
    return manifest


# What may tell two runs of one label apart, in the order in which it is added to their names.
_DISTINCTIONS: tuple[Callable[[Manifest], str], ...] = (
    lambda m: m.trace.name,
    lambda m: m.machine.name,
    lambda m: f"{m.machine.cpus} CPUs",
    lambda m: m.loop,
    lambda m: f"jitter {m.jitter_percent:g} %",
    lambda m: f"trace seed {(m.trace.metadata.get('source') or {}).get('seed')}",
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
    return _number(names)


def _number(names: Sequence[str]) -> list[str]:
    """Number those names that come again."""
    free: dict[str, None] = {}
    last: dict[str, int] = {}
    for name in names:
        candidate = name
        while candidate in free:
            last[name] = last.get(name, 1) + 1
            candidate = f"{name} #{last[name]}"
        free[candidate] = None
    return list(free)
