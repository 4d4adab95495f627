"""Generate a trace from a workload spec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.io.progress import progress
from pipeline.schema.trace import COLUMN_NAMES
from pipeline.schema.trace_metadata import Provenance, Source
from pipeline.trace.writer import TraceWriter
from pipeline.workload.draws import Drawer
from pipeline.workload.read_spec import read_workload
from pipeline.workload.spec import MAX_OPERATIONS
from pipeline.workload.stream import RowStream

CLOCK = "nominal nanoseconds: mapping and unmapping take no time, and every task has its own CPU"


@dataclass(frozen=True)
class GenerateResult:
    """Summary of a generated trace."""

    path: Path
    name: str
    """Name of the workload: the file name of its spec without suffix."""
    rows: int
    tasks: int
    """Number of tasks that have a row."""
    processes: int
    pages: int
    """1 + the largest page number."""
    span_ns: int
    """Begin of the last operation; the first begins at 0."""
    spec_sha256: str
    seed: int


def generate(
    spec: str | Path, output: Path, *, operations: int | None = None, seed: int | None = None
) -> GenerateResult:
    """Generate a trace of the first `operations` rows of the workload, including nested operations.

    `spec` is the name of a shipped workload or the path of a .toml file. `operations` and `seed` default to
    the values of the spec. Rows are in the order of their nominal begins, which assume that mapping takes no
    time: a task's next operation begins after the hold and block of the previous one and the task's think and
    wait. The same spec and seed give the same rows on every machine, and fewer operations give a prefix of
    them. Memory use does not grow with their number. The trace may end before the nested operations of its
    last operations; the hold and block of the latter still include them.

    Raises UsageError for an unknown workload or an invalid number, InputError for an invalid spec (see
    `read_workload`), and OutputError if `output` cannot be written. After an error, no file is left at
    `output`.
    """
    named = read_workload(spec)
    rows = _in_range("operations", named.workload.operations if operations is None else operations, 1)
    seed = _in_range("seed", named.workload.seed if seed is None else seed, 0)
    output = Path(output)
    if output.exists() and output.samefile(named.path):
        raise UsageError(f"{output}: this file is the workload spec; choose another name for the trace")

    drawer = Drawer(named, seed)
    provenance: dict[str, Provenance] = dict.fromkeys(COLUMN_NAMES, "synthetic")
    provenance["cpu"] = "absent"
    if not drawer.copies:
        provenance["bytes"] = "absent"
    if drawer.has_lengths:
        provenance["pages"] = "synthetic"
    source = Source(
        type="synthetic",
        name=named.name,
        description=named.workload.description,
        spec_sha256=named.sha256,
        seed=seed,
        file=None,
    )
    span_ns = 0
    left = rows
    with (
        TraceWriter(output, source=source, columns=provenance, clock=CLOCK) as writer,
        progress(f"generating {named.name}", rows, "operations") as advance,
    ):
        for columns in RowStream(drawer).batches():
            batch = {name: column[:left] for name, column in columns.items()}
            writer.write({**batch, "cpu": None, "bytes": batch["bytes"] if drawer.copies else None})
            count = len(batch["time_ns"])
            advance(count)
            left -= count
            span_ns = int(batch["time_ns"][-1])
            if not left:
                break
    made = writer.metadata
    return GenerateResult(
        output, named.name, rows, made.tasks, made.processes, made.pages, span_ns, named.sha256, seed
    )


def _in_range(what: str, number: int, least: int) -> int:
    most = MAX_OPERATIONS if what == "operations" else (1 << 63) - 1
    if not least <= number <= most:
        raise UsageError(f"{what}: expected a whole number from {least} to {most}, found {number}")
    return number
