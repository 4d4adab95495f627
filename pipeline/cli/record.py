"""`pipeline record`: record a command on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli._command import Force


def record(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND...", help="The command and its arguments.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The trace to write (Parquet).")
    ] = None,
    by: Annotated[
        Literal["perf", "strace"] | None,
        typer.Option("--with", help="Recorder; the first of these that works here, if left out."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FILE", help="Keep the recording's text there.")
    ] = None,
    buffer_mib: Annotated[
        int, typer.Option("--buffer", metavar="MIB", min=1, help="perf's buffer for each CPU, in MiB.")
    ] = 32,
    bpftrace: Annotated[
        bool, typer.Option("--bpftrace", help="Print our bpftrace script and how to run it; record nothing.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say what can record here and what is lacking; record nothing.")
    ] = False,
    force: Force = False,
) -> None:
    """Run a command, record its page faults, reads and writes, and make a trace of them."""
    from pipeline.capture.bpftrace import bpftrace_commands, script_path
    from pipeline.capture.capture import find_obstacles
    from pipeline.capture.capture import record as record_command
    from pipeline.errors import UsageError
    from pipeline.io.outputs import check_output, choose_output

    if bpftrace:
        print(script_path().read_text())
        typer.echo(f"// run:\n{bpftrace_commands(command or [], output)}", err=True)
        return
    if check:
        for name, against in find_obstacles(buffer_mib).items():
            print(f"{name}: " + ("works here" if not against else "; ".join(map(str, against))))
        return
    if output is None or not command:
        missing = [what for what, given in (("-o FILE", output), ("-- COMMAND", command)) if not given]
        raise UsageError(f"missing {' and '.join(missing)}; 'pipeline record --help' says how")
    choose_output(output, ("parquet",), force=force)
    if keep is not None:
        check_output(keep, force=force)
    result = record_command(
        command, output, by=by, keep=keep, buffer_mib=buffer_mib,
        say=lambda line: typer.echo(line, err=True),
    )  # fmt: skip
    metadata = result.imported.metadata
    if result.exit_status:
        typer.echo(f"the command ended with status {result.exit_status}", err=True)
    if result.lost_events:
        typer.echo(
            f"{result.lost_events:,} events were lost: give a larger --buffer (now {buffer_mib} MiB a CPU)",
            err=True,
        )
    # Standard output is the command's own.
    typer.echo(
        f"{output}: {metadata.operations:,} operations of {metadata.tasks:,} tasks, by {result.recorder}",
        err=True,
    )
    for note in metadata.notes:
        typer.echo(f"  note: {note}", err=True)
