"""`pipeline study kernel`: hold a design against a recording of a real kernel's pool."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def verify(
    recording: Annotated[
        str,
        typer.Argument(
            metavar="RECORDING",
            help="Raw events of the kernel's pool (.kmap.parquet or tracefs text), or a shipped one's name: "
            "wrap16, kcsleep2.",
        ),
    ],
    allocator: Annotated[
        str, typer.Option("--allocator", "-a", metavar="NAME", help="A design or a .py file.")
    ],
    options: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="An option of the design; may be repeated."),
    ] = None,
    start: Annotated[
        Literal["found", "fresh"],
        typer.Option(
            "--start", help="The pool's state at the start: worked out from the recording, or unused."
        ),
    ] = "found",
    free: Annotated[
        bool,
        typer.Option(
            "--free", help="Replay it as a trace instead, in the simulator's own order, and compare counts."
        ),
    ] = False,
    machine: Annotated[
        str | None,
        typer.Option(
            "--machine",
            "-m",
            metavar="PROFILE",
            help="With --free: the machine; by default smp4-2002 with the prices that the recording tells, "
            "as `pipeline fit-machine` measures them.",
        ),
    ] = None,
    tsc_ghz: Annotated[
        float | None,
        typer.Option("--tsc-ghz", min=0.001, help="With --free and tracefs text: rate of the TSC."),
    ] = None,
) -> None:
    """Replay a kernel's recording through a design in the recording's own lock order, and compare.

    The exit status is 0 only if slot numbers, use counts, scans, flushes, evicted pages and sleeps all agree.
    What the recording's events lack is not compared, and listed.
    With --free no equality is possible; it shows how far off each count is.
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
