"""Apply transformations to a trace, in order, and record them in the new trace."""

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

# All kinds of steps, in the order of the list for users.
_KINDS = {
    kind.name: kind
    for module in (window, choose, replicate, stretch, highmem, append)
    for kind in module.STEPS
}


@dataclass(frozen=True)
class TransformResult:
    """Result of a transformation: full `steps`, and `operations` before the first step and after each."""

    output: Path
    steps: tuple[str, ...]
    operations: tuple[int, ...]
    metadata: TraceMetadata


def usages() -> list[tuple[str, str]]:
    """Return the syntax and the effect of each step."""
    return [(kind.usage, kind.meaning) for kind in _KINDS.values()]


def parse_step(text: str) -> Step:
    """Parse a step `name=value,key=value`. Raises UsageError for an unknown or malformed step."""
    (name, value), *rest = [part.partition("=")[::2] for part in text.split(",")]
    if name not in _KINDS:
        raise unknown_name("step", name, _KINDS, "'pipeline transform --help' explains them")
    keys: dict[str, str] = {}
    for key, given in rest:
        if not given or key in keys:
            raise UsageError(f"step {name}: expected each KEY=VALUE only once after a comma, found '{key}'")
        keys[key] = given
    return _KINDS[name].parse(value, keys)


def transform(source: Path, output: Path, steps: Sequence[str]) -> TransformResult:
    """Apply `steps`, each `name=value,key=value`, in order to the trace at `source`, and write `output`.

    The metadata of the new trace lists the steps, with the SHA-256 of the original file of each chain.
    Memory use does not grow with the number of rows. Intermediate traces are temporary files in the directory
    of `output`, and steps that change the order of rows sort them there. The file appears complete
    or not at all.

    Raises UsageError for a step that is unknown or does not fit the trace, InputError for a trace that cannot
    be read, and OutputError if the new one cannot be written.
    """
    source, output = Path(source), Path(output)
    if not steps:
        raise UsageError("expected at least one step, found none; 'pipeline transform --help' lists them")
    parsed = [parse_step(text) for text in steps]
    current = open_trace(source)
    if output.exists() and output.samefile(source):
        raise UsageError(f"{output}: this is the original trace; choose another name for the new one")
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
