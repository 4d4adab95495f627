"""`pipeline record`: record a command on this machine as a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli._command import Force


def record(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="The command and its arguments.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Trace to write (.parquet).")
    ] = None,
    by: Annotated[
        Literal["perf", "strace", "tracefs"] | None,
        typer.Option(
            "--with",
            help="Recorder: perf or strace; with --vmalloc, tracefs or perf (default: the first of these two "
            "that works on this machine).",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="FILE", help="Also keep the recorder's output in this file."),
    ] = None,
    buffer_mib: Annotated[
        int, typer.Option("--buffer", metavar="MIB", min=1, help="Buffer of perf or tracefs per CPU, in MiB.")
    ] = 32,
    vmalloc: Annotated[
        bool,
        typer.Option(
            "--vmalloc",
            help="Record the kernel's areas of vmalloc, of all tasks while the command runs.",
        ),
    ] = False,
    bpftrace: Annotated[
        bool,
        typer.Option("--bpftrace", help="Print a bpftrace script and the commands to run it, then exit."),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Print which recorders work on this machine, then exit.")
    ] = False,
    force: Force = False,
) -> None:
    """Run a command and record it as a trace.

    The recording contains the command's page faults, reads and writes; with --vmalloc, the kernel's areas of
    vmalloc instead.
    """
    from pipeline.capture.bpftrace import bpftrace_commands, script_path
    from pipeline.capture.capture import check_recorder, find_obstacles
    from pipeline.capture.capture import record as record_command
    from pipeline.errors import UsageError
    from pipeline.io.outputs import check_output, choose_output

    if bpftrace and vmalloc:
        raise UsageError("the script for bpftrace records page faults, reads and writes; omit --vmalloc")
    check_recorder(by, vmalloc=vmalloc)
    if bpftrace:
        print(script_path().read_text())
        typer.echo(f"// run:\n{bpftrace_commands(command or [], output)}", err=True)
        return
    if check:
        found = {} if vmalloc else find_obstacles(buffer_mib)
        areas = {f"{name} (--vmalloc)": why for name, why in find_obstacles(buffer_mib, vmalloc=True).items()}
        for name, against in (found | areas).items():
            print(f"{name}: " + ("works on this machine" if not against else "; ".join(map(str, against))))
        return
    if output is None or not command:
        missing = [what for what, given in (("-o FILE", output), ("-- COMMAND", command)) if not given]
        raise UsageError(f"missing {' and '.join(missing)}; see 'pipeline record --help'")
    choose_output(output, ("parquet",), force=force)
    if keep is not None:
        check_output(keep, force=force)
    result = record_command(
        command, output, by=by, keep=keep, buffer_mib=buffer_mib, vmalloc=vmalloc,
        say=lambda line: typer.echo(line, err=True),
    )  # fmt: skip
    metadata = result.imported.metadata
    if result.exit_status:
        typer.echo(f"the command exited with status {result.exit_status}", err=True)
    if result.lost_events:
        typer.echo(
            f"{result.lost_events:,} events were lost; use a larger --buffer than {buffer_mib} MiB per CPU",
            err=True,
        )
    # Standard output belongs to the recorded command.
    typer.echo(
        f"{output}: {metadata.operations:,} operations of {metadata.tasks:,} tasks, recorded by "
        f"{result.recorder}",
        err=True,
    )
    for note in metadata.notes:
        typer.echo(f"  note: {note}", err=True)
