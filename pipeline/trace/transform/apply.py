"""Apply transformations to a trace, one after another, and write down in the new one what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError, unknown_name
from pipeline.io.files import output_error, sha256_of
from pipeline.io.progress import progress
from pipeline.io.scratch import ScratchDirectory
from pipeline.schema.trace_metadata import TraceMetadata, Transformation
from pipeline.trace.losses import note_losses
from pipeline.trace.reader import Trace, open_trace
from pipeline.trace.transform import append, choose, highmem, replicate, stretch, window
from pipeline.trace.transform.sort import sort_by_time
from pipeline.trace.transform.step import Step
from pipeline.trace.writer import TraceWriter

# Every kind of step, in the order in which they are listed.
_KINDS = {
    kind.name: kind
    for module in (window, choose, replicate, stretch, highmem, append)
    for kind in module.STEPS
}


@dataclass(frozen=True)
class TransformResult:
    """What was made: `steps` in full, `operations` before the first step and after each."""

    output: Path
    steps: tuple[str, ...]
    operations: tuple[int, ...]
    metadata: TraceMetadata


def usages() -> list[tuple[str, str]]:
    """How each step is written and what it does."""
    return [(kind.usage, kind.meaning) for kind in _KINDS.values()]


def parse_step(text: str) -> Step:
    """Make a step of `name=value,key=value`. Raises UsageError for one that is unknown or not well formed."""
    (name, value), *rest = [part.partition("=")[::2] for part in text.split(",")]
    if name not in _KINDS:
        raise unknown_name("step", name, _KINDS, "'pipeline transform --help' explains them")
    keys: dict[str, str] = {}
    for key, given in rest:
        if not given or key in keys:
            raise UsageError(f"step {name}: wanted KEY=VALUE once each after the first comma, found '{key}'")
        keys[key] = given
    return _KINDS[name].parse(value, keys)


def transform(source: Path, output: Path, steps: Sequence[str]) -> TransformResult:
    """Apply `steps`, each `name=value,key=value`, in their order to the trace at `source`; write `output`.

    The new trace lists the steps in its metadata, with the SHA-256 of the file each chain of them began with.
    Memory does not grow with the number of rows; between two steps the trace lies in a temporary file beside
    `output`, and a step that changes the order of rows sorts them there. The file appears complete or not at
    all.

    Raises UsageError for a step that is unknown or does not fit the trace, InputError for a trace that cannot
    be read, OutputError when the new one cannot be written.
    """
    source, output = Path(source), Path(output)
    if not steps:
        raise UsageError("wanted at least one step, found none; 'pipeline transform --help' lists them")
    parsed = [parse_step(text) for text in steps]
    current = open_trace(source)
    if output.exists() and output.samefile(source):
        raise UsageError(f"{output}: is the trace itself; give another name for the new one")
    sha256 = sha256_of(source)
    operations = [current.rows]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with ScratchDirectory(output.parent) as name:
            for number, step in enumerate(parsed):
                last = number == len(parsed) - 1
                target = output if last else Path(name) / f"{number}.parquet"
                _write(current, step, target, sha256, Path(name))
                current = open_trace(target)
                operations.append(current.rows)
    except OSError as error:
        raise output_error(output, error) from error
    return TransformResult(output, tuple(step.text for step in parsed), tuple(operations), current.metadata)


def _write(trace: Trace, step: Step, target: Path, sha256: str, scratch: Path) -> None:
    outcome = step.apply(trace)
    metadata = trace.metadata
    done = Transformation(source_sha256=sha256, step=step.text, operations_before=trace.rows)
    rows = outcome.rows if outcome.in_order else sort_by_time(outcome.rows, scratch)
    with (
        TraceWriter.like(
            target, metadata, columns=outcome.columns, cpus=outcome.cpus, lost_events=outcome.lost_events,
            losses=outcome.losses, notes=note_losses(metadata.notes, outcome.losses),
            transformations=[*metadata.transformations, done],
        ) as writer,
        progress(step.text.partition("=")[0], None, "operations") as advance,
    ):  # fmt: skip
        written = 0
        for columns in rows:
            writer.write(columns)
            written += len(columns["time_ns"])
            advance(len(columns["time_ns"]))
        notes = (f"{trace.rows:,} operations became {written:,}", *outcome.notes)
        writer.metadata.notes += [f"{step.text}: {note}" for note in notes]
