"""The traces of a sweep: files that are there, and workloads of which a trace is made when a run wants it.

What determines a trace is known without making it: the bytes of a file; or of a workload its values, the
number of operations, the seed and the sources of the generator.
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
    """Where a trace comes from: `path` is its file, or if it is `generated`, the spec of its workload.

    `settings` are the spec's values by dotted key, as TOML; `content` is a hash of what determines the rows,
    for a generated trace without the generator, whose hash is `maker` ("" for a file).
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
        """Its file, whether it is there or not."""
        if not self.generated:
            return self.path
        return sweep / TRACES / f"{self.name}-{self.content[:16]}-{self.maker[:8]}" / f"{self.name}.parquet"

    def is_missing(self, sweep: Path) -> bool:
        """Whether the trace has to be generated."""
        return self.generated and not self.place(sweep).exists()

    def write(self, file: Path) -> None:
        """Generate the trace into a file. Raises OutputError."""
        from pipeline.workload.generate import generate  # noqa: PLC0415 - most traces are there already

        with override_workload(self.path, self.settings) as spec:
            generate(spec, file, operations=self.operations, seed=self.seed)

    def open(self, sweep: Path) -> tuple[Trace, str]:
        """Open the trace; returns it with the SHA-256 of its file.

        Raises InputError if it is gone, and if it is no longer what was planned.
        """
        trace = open_trace(self.place(sweep))
        sha256 = sha256_of(trace.path)
        if not self.generated and sha256 != self.content:
            raise InputError(
                f"{trace.path}: is another trace than when the sweep was planned; give the command again"
            )
        return trace, sha256


@cache
def is_workload(name: str) -> bool:
    """Whether a trace of a grid is a workload. Raises UsageError for a name that is none of both."""
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
    """Trace of a file, given by path or as a shipped recording's name. Raises InputError."""
    path = shipped_files("traces", ".parquet").get(name, Path(name)).resolve()
    trace = open_trace(path)
    return TraceSource(path.stem, path, sha256_of(path), trace.rows)


@cache
def find_workload(name: str, settings: tuple[tuple[str, str], ...]) -> tuple[Path, str, str, int]:
    """Path of a workload's spec, its name, a hash of its values with these settings, and its operations.

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
    """Trace that is generated of a workload with some values replaced."""
    path, stem, values, usual = find_workload(name, settings)
    operations = usual if operations is None else operations
    content = hashlib.sha256(f"{values} {operations} {seed}".encode()).hexdigest()
    return TraceSource(stem, path, content, operations, True, seed, dict(settings), generator_sha256())


def find_trace(name: str, operations: int | None, directory: Path) -> Path:
    """Path of a trace that is given by path, as a shipped recording, or as a workload.

    Of a workload, `operations` or as many as it says, with its own seed, are generated into `directory`
    unless they are there already. Raises UsageError for a name of neither and for `operations` of a file.
    """
    if not is_workload(name):
        if operations is not None:
            raise UsageError(
                f"a number of operations is for a workload, and {name} is a trace, which is replayed whole; "
                "'pipeline transform' cuts one"
            )
        return trace_path(name)
    source = trace_of_workload(name, (), operations, read_workload(name).workload.seed)
    if source.is_missing(directory):
        source.write(source.place(directory))
    return source.place(directory)


@cache
def generator_sha256() -> str:
    """Hash of the sources that decide which rows a workload has."""
    folder = Path(str(pipeline.workload.__file__)).parent
    sources = [path.read_bytes() for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join([str(FORMAT_VERSION).encode(), *sources])).hexdigest()
