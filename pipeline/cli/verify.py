"""`pipeline study kernel`: check a design against a recording of a real kernel's pool."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pipeline.cli._command import PoolRecording, TscGhz


def verify(
    recording: PoolRecording,
    allocator: Annotated[
        str,
        typer.Option(
            "--allocator", "-a", metavar="NAME", help="A design (see `pipeline allocators`) or a .py file."
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", metavar="KEY=VALUE", help="Set an option of the design; may be repeated."
        ),
    ] = None,
    start: Annotated[
        Literal["found", "fresh"],
        typer.Option(
            "--start",
            help="Initial state of the pool: inferred from the recording (found), or empty (fresh).",
        ),
    ] = "found",
    free: Annotated[
        bool,
        typer.Option(
            "--free", help="Replay the recording in the simulator's own order, and compare only counts."
        ),
    ] = False,
    machine: Annotated[
        str | None,
        typer.Option(
            "--machine",
            "-m",
            metavar="PROFILE",
            help="Machine profile for --free (default: smp4-2002 with the costs that `pipeline fit-machine` "
            "measures from the recording).",
        ),
    ] = None,
    tsc_ghz: TscGhz = None,
) -> None:
    """Check a design against a recording of a kernel.

    The command replays the recording with the design in the recorded lock order. The exit status is 0 only if
    slot numbers, use counts, scans, flushes, evicted pages and sleeps all agree. Fields that the recording
    lacks are listed and not compared. With --free, the order differs, so the command prints the difference of
    each count.
    """
    from pipeline.errors import FindingError
    from pipeline.importing.kmap_pool.recordings import recording_path
    from pipeline.io.key_values import key_values
    from pipeline.studies.conformance.lockstep import verify as compare

    path, values = recording_path(recording), key_values(options or [], "--set")
    if free:
        from pipeline.studies.conformance.free_running import verify_free

        comparison = verify_free(path, allocator=allocator, machine=machine, options=values, tsc_ghz=tsc_ghz)
        typer.echo(comparison.text(), nl=False)
        return
    found = compare(path, allocator=allocator, options=values, start=start)
    typer.echo(found.text(), nl=False)
    if not found.agrees:
        raise typer.Exit(FindingError.exit_status)
