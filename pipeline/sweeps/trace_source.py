"""The traces of a sweep: existing files, and workloads whose traces are generated on demand.

The identity of a trace is known without generating it. It is the content of a file or, for a workload, its
values, the number of operations, the seed and the sources of the generator.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pipeline.workload
from pipeline.errors import InputError, UsageError, unknown_name
from pipeline.io.files import sha256_of
from pipeline.io.resources import shipped_files
from pipeline.runs.collection import TRACES
from pipeline.schema.trace import FORMAT_VERSION
from pipeline.trace.names import trace_path
from pipeline.trace.reader import Trace, open_trace
from pipeline.workload.overrides import override_workload
from pipeline.workload.read_spec import SUFFIX, read_workload, shipped_workloads, workload_path


@dataclass(frozen=True)
class TraceSource:
    """The source of a trace: `path` is its file or, if it is `generated`, the file of its workload.

    `settings` are changed values of the workload by dotted key, as TOML. `content` is a hash of the inputs
    that determine the rows, except the generator. `maker` is the hash of the generator ("" for a file).
    """

    name: str
    path: Path
    content: str
    operations: int
    generated: bool = False
    seed: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    maker: str = ""

    def place(self, sweep: Path) -> Path:
        """Return the path of its file, which may not exist."""
        if not self.generated:
            return self.path
        return sweep / TRACES / f"{self.name}-{self.content[:16]}-{self.maker[:8]}" / f"{self.name}.parquet"

    def is_missing(self, sweep: Path) -> bool:
        """Whether the trace is generated."""
        return self.generated and not self.place(sweep).exists()

    def write(self, file: Path) -> None:
        """Generate the trace into a file. Raises OutputError."""
        from pipeline.workload.generate import generate  # noqa: PLC0415 - most traces are there already

        with override_workload(self.path, self.settings) as spec:
            generate(spec, file, operations=self.operations, seed=self.seed)

    def open(self, sweep: Path) -> tuple[Trace, str]:
        """Open the trace, and return it with the SHA-256 of its file.

        Raises InputError if the file is missing or differs from the planned one.
        """
        trace = open_trace(self.place(sweep))
        sha256 = sha256_of(trace.path)
        if not self.generated and sha256 != self.content:
            raise InputError(f"{trace.path}: has changed since the sweep was planned; repeat the command")
        return trace, sha256


@cache
def is_workload(name: str) -> bool:
    """Return whether a trace of a grid is a workload. Raises UsageError for an unknown name."""
    if name.endswith(SUFFIX):
        return True
    recordings, workloads = shipped_files("traces", ".parquet"), shipped_workloads()
    if name in recordings or name.endswith(".parquet") or (name not in workloads and Path(name).exists()):
        return False
    if name not in workloads:
        hint = "or give the path of a .parquet trace or of a .toml workload"
        raise unknown_name("trace", name, [*recordings, *workloads], hint, (".parquet", SUFFIX))
    return True


@cache
def find_file(name: str) -> TraceSource:
    """Return the trace of a file, given by path or as the name of a shipped recording. Raises InputError."""
    path = shipped_files("traces", ".parquet").get(name, Path(name)).resolve()
    trace = open_trace(path)
    return TraceSource(path.stem, path, sha256_of(path), trace.rows)


@cache
def find_workload(name: str, settings: tuple[tuple[str, str], ...]) -> tuple[Path, str, str, int]:
    """Return a workload's path, its name, a hash of its values with these settings, and its operations.

    Raises UsageError or InputError as `read_workload`.
    """
    path = workload_path(name).resolve()
    with override_workload(path, dict(settings)) as spec:
        workload = read_workload(spec).workload
    values = workload.model_dump(mode="json", exclude={"seed", "operations", "description"})
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return path, path.stem, digest, workload.operations


def trace_of_workload(
    name: str, settings: tuple[tuple[str, str], ...], operations: int | None, seed: int
) -> TraceSource:
    """Return the generated trace of a workload with some values replaced."""
    path, stem, values, usual = find_workload(name, settings)
    operations = usual if operations is None else operations
    content = hashlib.sha256(f"{values} {operations} {seed}".encode()).hexdigest()
    return TraceSource(stem, path, content, operations, True, seed, dict(settings), generator_sha256())


def find_trace(name: str, operations: int | None, directory: Path) -> Path:
    """Return the path of a trace that is given by path, as a shipped recording, or as a workload.

    A workload's trace is generated in `directory` unless it exists. It has the workload's seed and
    `operations` operations (default: the workload's). Raises UsageError for an unknown name, and for
    `operations` with a file.
    """
    if not is_workload(name):
        if operations is not None:
            raise UsageError(
                f"a number of operations is supported for workloads only, and {name} is a trace; "
                "use 'pipeline transform' to cut it"
            )
        return trace_path(name)
    source = trace_of_workload(name, (), operations, read_workload(name).workload.seed)
    if source.is_missing(directory):
        source.write(source.place(directory))
    return source.place(directory)


@cache
def generator_sha256() -> str:
    """Return a hash of the sources that determine the rows of a workload."""
    folder = Path(str(pipeline.workload.__file__)).parent
    sources = [path.read_bytes() for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join([str(FORMAT_VERSION).encode(), *sources])).hexdigest()
