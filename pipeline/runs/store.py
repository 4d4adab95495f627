"""Finding runs, recordings and measured locks, and giving each a unique name."""

from __future__ import annotations

import glob
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import InputError, UsageError, one_line
from pipeline.importing.locks.measured import MeasuredLocks
from pipeline.importing.locks.sniff import find_lock_format
from pipeline.io.files import complete_file, readable_file
from pipeline.io.json_text import parse_json
from pipeline.io.resources import shipped_files, shipped_recordings
from pipeline.schema.manifest import MANIFEST_FILE, RUN_FORMAT_VERSION, SWEEP_FILE, Manifest
from pipeline.trace.lock_text import say_no_trace


@dataclass(frozen=True)
class Run:
    """One run: its name within this set, its directory and its manifest."""

    name: str
    directory: Path
    manifest: Manifest

    @property
    def has_log(self) -> bool:
        """Whether the run has a log."""
        return self.manifest.events != "none"


def identify_workload(manifest: Manifest) -> str:
    """The identity of a trace apart from the seed of its workload; for a recording, its hash."""
    metadata = manifest.trace.metadata
    source = metadata.get("source") or {}
    if not source.get("spec_sha256"):
        return manifest.trace.sha256
    steps = [step.get("step") for step in metadata.get("transformations") or []]
    return repr((source["spec_sha256"], metadata.get("operations"), steps))


@dataclass(frozen=True)
class Recording:
    """A recording of the kernel's own pool: its name, its file, and whether it is shipped."""

    name: str
    path: Path
    shipped: bool


@dataclass(frozen=True)
class LockTable:
    """Lock statistics measured on a real machine: their name, file and values."""

    name: str
    path: Path
    measured: MeasuredLocks


Found = Run | Recording | LockTable


def find(paths: Sequence[Path]) -> list[Found]:
    """Find the runs, recordings and measured locks in `paths`, in order.

    Runs are found as by `find_runs`. A file other than a manifest, or the name of a shipped recording of the
    pool (traces/pool), is a recording or a file of lock statistics. Each table of a file with several has its
    own name. Duplicates are found once.
    """
    return _find(paths, shipped_recordings())


def find_runs_and_locks(paths: Sequence[Path]) -> list[Run | LockTable]:
    """Find the runs and files of lock statistics in `paths`, in order."""
    return [found for found in _find(paths, None, locks=True) if not isinstance(found, Recording)]


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Read every run in `paths`: run directories, or directories that contain run directories.

    Duplicates are read once. The order is that of `paths`, and within a path the order in which the runs were
    made. Raises InputError for a path without a run, a damaged manifest, a missing table and a newer run
    format.
    """
    return [found for found in _find(paths, None) if isinstance(found, Run)]


def _find(paths: Sequence[Path], shipped: dict[str, Path] | None, locks: bool = False) -> list[Found]:
    """Find runs; with `locks`, also lock statistics, and recordings if the shipped ones are given."""
    manifests: dict[Path, Manifest | None] = {}
    for path in expand_patterns(paths):
        file = None
        if shipped is not None:
            file = path if path.is_file() else None if path.exists() else shipped.get(str(path))
        elif locks and path.is_file() and find_lock_format(path):
            file = path
        if file is None or file.name == MANIFEST_FILE:
            manifests = manifests | _read_runs(path) | manifests
        else:
            manifests.setdefault(file.resolve(), None)
    runs = {place: manifest for place, manifest in manifests.items() if manifest is not None}
    files = [place for place in manifests if place not in runs]
    measured = {place: _read_locks(place) for place in files if find_lock_format(place)}
    known = {file.resolve() for file in (shipped or {}).values()}
    names = iter(_number([*unique_names([*runs.values()]), *_stems(files, measured)]))
    found: dict[Path, list[Found]] = {
        place: [Run(next(names), place, manifest)] for place, manifest in runs.items()
    }
    for place in files:
        if place in measured:
            found[place] = [LockTable(next(names), place, table) for table in measured[place]]
        else:
            found[place] = [Recording(next(names), place, place in known)]
    return [one for place in manifests for one in found[place]]


def expand_patterns(paths: Sequence[Path]) -> list[Path]:
    """Replace each path with wildcards, such as `runs/global_pool-*`, by its sorted matches.

    A path that exists literally is kept. Raises InputError for a pattern without a match.
    """
    found: list[Path] = []
    for path in paths:
        if path.exists() or not glob.has_magic(str(path)):
            found.append(path)
            continue
        matching = sorted(Path(match) for match in glob.glob(str(path)))  # noqa: PTH207 - absolute or relative
        if not matching:
            raise InputError(f"{path}: no path matches; check the pattern")
        found += matching
    return found


def _read_locks(path: Path) -> list[MeasuredLocks]:
    from pipeline.importing.locks.read import read_locks  # noqa: PLC0415 - imports what text needs

    return read_locks(path)


def _stems(files: Sequence[Path], measured: Mapping[Path, list[MeasuredLocks]]) -> Iterator[str]:
    """Return the name of each file or of each of its tables, which may collide with others."""
    for place in files:
        if place in measured:
            for table in measured[place]:
                yield f"{place.name.split('.')[0]} {table.title}".strip()
        else:
            yield place.name.removesuffix(".parquet").removesuffix(".kmap")


def _read_runs(path: Path) -> dict[Path, Manifest]:
    """Return the manifests of the runs at `path` or one level below, in the order in which they were made."""
    if (path / MANIFEST_FILE).exists():
        directories = [path]
    elif path.name == MANIFEST_FILE and path.is_file():
        directories = [path.parent]
    elif path.is_dir():
        # A name with a leading dot is a run being written.
        inside = path / "runs" if is_sweep(path) else path
        directories = [file.parent for file in sorted(inside.glob(f"[!.]*/{MANIFEST_FILE}"))]
        if not directories:
            raise InputError(
                f"{path}: expected a run directory or a directory of runs, found no {MANIFEST_FILE} in it or "
                "one level below; 'pipeline replay' makes runs"
            )
    else:
        if path.is_file() and (form := find_lock_format(path)):
            raise InputError(f"{path}: expected a run directory; this {say_no_trace(form, path)}")
        if path.exists():
            there = "a file"
        elif str(path) in shipped_recordings() or str(path) in shipped_files("traces", ".parquet"):
            there = "the name of a shipped recording"
        else:
            there = "no such directory"
        raise InputError(
            f"{path}: expected a run directory or directory of runs, found {there}; 'pipeline replay' makes "
            "runs of traces; use 'pipeline sql' or 'pipeline db' for recordings of the kernel's own pool"
        )
    runs = [(read_manifest(directory), directory.resolve()) for directory in directories]
    runs.sort(key=lambda run: (run[0].execution.started, run[1]))
    return {directory: manifest for manifest, directory in runs}


def is_sweep(path: Path) -> bool:
    """Return whether a directory is a sweep; its runs are in the directory `runs` in it."""
    return (path / SWEEP_FILE).is_file()


def set_label(directory: Path, label: str) -> Manifest:
    """Set the label of a run, its name in reports and queries; return its manifest.

    Raises UsageError for an empty label or one of several lines, InputError for a directory without a run,
    and OutputError if the manifest cannot be written.
    """
    if not label.strip() or not label.isprintable():
        raise UsageError(f"a label must be one line of text, found {label!r}")
    manifest = read_manifest(directory).model_copy(update={"label": label.strip()})
    with complete_file(directory / MANIFEST_FILE) as file:
        file.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def read_finished_manifest(directory: Path) -> Manifest | None:
    """Return the manifest of a complete run, else None."""
    try:
        return Manifest.model_validate(parse_json((directory / MANIFEST_FILE).read_bytes()))
    except (OSError, ValueError):
        return None


def read_manifest(directory: Path) -> Manifest:
    """Read and check the manifest of a run directory, and check that its tables exist."""
    path = readable_file(directory / MANIFEST_FILE, "a run's manifest")
    try:
        content = parse_json(path.read_bytes())
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not JSON ({one_line(error)}); repeat the run") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > RUN_FORMAT_VERSION:
        raise InputError(
            f"{path}: run format {version} is newer than {RUN_FORMAT_VERSION}, the newest supported one; "
            "update kmap-pipeline, or repeat the run with this version"
        )
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise InputError(
            f"{path}: not the manifest of a run: {where}: {first['msg']} "
            f"({error.error_count()} errors); repeat the run"
        ) from error
    for file in itertools.chain(*manifest.log_files.values()):
        place = directory / file
        # An untrusted manifest must not refer to files elsewhere.
        if place.name != file or file.startswith(".") or "\0" in file or place.is_symlink():
            raise InputError(
                f"{path}: a run's tables must be in its own directory, found '{file}'; get a complete "
                "copy of the run's directory"
            )
        readable_file(place, "a table of the run's log, listed in its manifest")
    return manifest


def label_design(manifest: Manifest) -> str:
    """Return a run's label with the kinds of pages in low memory."""
    return f"{manifest.label}, {_say_lowmem(manifest)}" if manifest.lowmem else manifest.label


def varying_costs(manifests: Iterable[Manifest]) -> list[str]:
    """Return the names of the costs in which runs differ."""
    values: dict[str, set[str]] = defaultdict(set)
    for manifest in manifests:
        for name, cost in manifest.machine.costs.items():
            values[name].add(repr(cost.value))
    return [name for name, different in values.items() if len(different) > 1]


def describe_costs(manifest: Manifest, names: Iterable[str]) -> str:
    """Write the values of some costs: "ipi_ns 500, scan_slot_ns 3"."""
    costs = manifest.machine.costs
    return ", ".join(f"{name} {costs[name].value}" for name in names if name in costs)


def _say_lowmem(manifest: Manifest) -> str:
    return f"{' and '.join(manifest.lowmem)} in low memory" if manifest.lowmem else "all in high memory"


# Settings that distinguish runs of the same label, in the order in which they are added to names.
_DISTINCTIONS: tuple[Callable[[Manifest], str], ...] = (
    lambda m: m.trace.name,
    lambda m: m.machine.name,
    lambda m: f"{m.machine.cpus} CPUs",
    _say_lowmem,
    lambda m: m.loop,
    lambda m: f"jitter {m.jitter_percent:g} %",
    lambda m: f"trace seed {(m.trace.metadata.get('source') or {}).get('seed')}",
    lambda m: f"seed {m.seed}",
    lambda m: f"trace {m.trace.sha256[:8]}",
    lambda m: f"source {m.allocator.source_sha256[:8]}",
    lambda m: f"log {m.events}",
)


def unique_names(manifests: Sequence[Manifest]) -> list[str]:
    """Return a unique name for each run: its label and, if labels collide, the settings that differ.

    Two runs of `global_pool` with different seeds become `global_pool, seed 1` and `global_pool, seed 2`.
    Runs with equal settings are numbered.
    """
    by_label: dict[str, list[int]] = defaultdict(list)
    for position, manifest in enumerate(manifests):
        by_label[manifest.label].append(position)
    names = [manifest.label for manifest in manifests]
    for members in by_label.values():
        costs = varying_costs(manifests[i] for i in members) if len(members) > 1 else []
        distinctions: list[Callable[[Manifest], str]] = [*_DISTINCTIONS, partial(describe_costs, names=costs)]
        for distinction in distinctions:
            if len({names[i] for i in members}) == len(members):
                break
            words = {i: distinction(manifests[i]) for i in members}
            if len(set(words.values())) > 1:
                for i in members:
                    names[i] = f"{names[i]}, {words[i]}"
    return _number(names)


def _number(names: Sequence[str]) -> list[str]:
    """Number repeated names."""
    free: dict[str, None] = {}
    last: dict[str, int] = {}
    for name in names:
        candidate = name
        while candidate in free:
            last[name] = last.get(name, 1) + 1
            candidate = f"{name} #{last[name]}"
        free[candidate] = None
    return list(free)
