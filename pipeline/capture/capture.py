"""Recording a command with the best available recorder, and importing the recording."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.capture.perf import Perf
from pipeline.capture.recorder import Obstacle, Recorder
from pipeline.capture.strace import Strace
from pipeline.capture.vmalloc_perf import PerfAreas
from pipeline.capture.vmalloc_tracefs import TracefsAreas
from pipeline.errors import OutputError, UsageError
from pipeline.importing.import_trace import ImportResult, import_trace
from pipeline.io.files import output_error
from pipeline.io.scratch import ScratchDirectory


@dataclass(frozen=True)
class RecordResult:
    """A recorded command: the recorder, the exit status, the kept recording and the trace."""

    recorder: str
    exit_status: int
    lost_events: int | None
    text: Path | None
    imported: ImportResult


def find_obstacles(buffer_mib: int = 32, *, vmalloc: bool = False) -> dict[str, list[Obstacle]]:
    """Return the obstacles of each recorder, the best recorder first; a recorder without obstacles works.

    With `vmalloc`, the recorders are those of areas of vmalloc.
    """
    with ScratchDirectory() as scratch:
        return {
            recorder.name: recorder.find_obstacles(Path(scratch))
            for recorder in _recorders(buffer_mib, vmalloc)
        }


def record(
    command: Sequence[str],
    output: Path,
    *,
    by: str | None = None,
    keep: Path | None = None,
    buffer_mib: int = 32,
    vmalloc: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> RecordResult:
    """Run `command`, record it and all that it starts, and import the recording into a trace at `output`.

    `by` is the name of a recorder, perf or strace; None chooses the first that works. With `vmalloc`, the
    kernel's areas of vmalloc are recorded instead, of all tasks while the command runs; the recorders are
    then tracefs and perf. `keep` is a path at which to keep the recording's text. `buffer_mib` is the size of
    the buffer of perf or tracefs for each CPU, in MiB. `say` is called with messages. The recording is next
    to `output` until it is imported. It is then removed, also after an error, unless it is kept.

    Raises UsageError for a command that does not exist or cannot be run, for a recorder that does not record
    this, and if no recorder works, with the requirements of each; OutputError if the recording cannot be
    written; and the errors of `import_trace`.
    """
    output = Path(output)
    check_recorder(by, vmalloc=vmalloc)
    if not command:
        raise UsageError("expected a command to record after '--', found none")
    if not shutil.which(command[0]):
        raise UsageError(f"{command[0]}: command not found; check PATH")
    for path, what in ((output, "the trace"), (keep, "the recording's text")):
        if path is not None and path.is_dir():
            raise OutputError(f"{path}: expected a file for {what}, found a directory; add a name")
    if keep is not None and keep.resolve() == output.resolve():
        raise UsageError(f"{keep}: is the output for the trace; choose another file for the recording's text")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with ScratchDirectory(output.parent) as name:
            scratch = Path(name)
            recorder = _choose_recorder(_recorders(buffer_mib, vmalloc), by, scratch, say)
            recorded = recorder.record(command, scratch)
            if keep is not None:
                keep.parent.mkdir(parents=True, exist_ok=True)
                text = Path(shutil.move(recorded.text, keep))
                recorded = replace(recorded, text=text)
            imported = import_trace(
                recorded.text,
                output,
                recorded.format,
                name=output.name.split(".")[0],
                kernel=f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs",
                description=f"{recorded.scope}: {' '.join(command)}"[:500],
                # Each recorder is set up to report losses.
                silence_means_no_loss=True,
            )
    except OSError as error:
        raise output_error(output, error) from error
    return RecordResult(recorder.name, recorded.exit_status, imported.metadata.lost_events, keep, imported)


def check_recorder(by: str | None, *, vmalloc: bool) -> None:
    """Raise UsageError if recorder `by` does not record areas (with `vmalloc`) or a command's operations."""
    known = {areas: [recorder.name for recorder in _recorders(1, areas)] for areas in (False, True)}
    if by is None or by in known[vmalloc]:
        return
    what = "areas of vmalloc" if vmalloc else "page faults, reads and writes"
    others = "omit --vmalloc" if vmalloc else "add --vmalloc to record areas of vmalloc"
    hint = f", or {others}" if by in known[not vmalloc] else ""
    raise UsageError(
        f"{by} does not record {what}; expected --with {' or --with '.join(known[vmalloc])}{hint}"
    )


def _recorders(buffer_mib: int, vmalloc: bool) -> tuple[Recorder, ...]:
    if vmalloc:
        return TracefsAreas(buffer_mib), PerfAreas(buffer_mib)
    return Perf(buffer_mib), Strace()


def _choose_recorder(
    recorders: Sequence[Recorder], by: str | None, scratch: Path, say: Callable[[str], None]
) -> Recorder:
    found: list[tuple[str, Obstacle]] = []
    for recorder in recorders:
        if by not in (None, recorder.name):
            continue
        against = recorder.find_obstacles(scratch)
        if not against:
            for name, obstacle in found:
                say(f"{name} cannot record here: {obstacle}")
            if isinstance(recorder, Perf) and (missing := recorder.missing_events()):
                say(f"this kernel does not have {', '.join(missing)}; the trace records what is missing")
            say(f"recording with {recorder.name}")
            return recorder
        found += [(recorder.name, obstacle) for obstacle in against]
    other = any(isinstance(recorder, Perf) for recorder in recorders)
    raise UsageError(
        "no recorder works here: "
        + "; ".join(f"{name}: {obstacle}" for name, obstacle in found)
        + ("; 'pipeline record --bpftrace' prints commands for bpftrace" if other else "")
    )
