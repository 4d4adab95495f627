"""`pipeline study kernel`: check a design against a recording of a real kernel's pool or areas."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pipeline.cli._command import TscGhz


def verify(
    recording: Annotated[
        str,
        typer.Argument(
            metavar="RECORDING",
            help="Events of the kernel's pool (.kmap.parquet or tracefs text), events vmalloc:* (text of "
            "tracefs, perf script or trace-cmd report), or the name of a shipped recording: "
            "wrap16, kcsleep2 (pools), stacks-and-bpf, eight-cpus (vmalloc).",
        ),
    ],
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
            help="Initial state of a pool: inferred from the recording (found), or empty (fresh).",
        ),
    ] = "found",
    free: Annotated[
        bool,
        typer.Option(
            "--free",
            help="Replay a pool's recording in the simulator's own order, and compare only counts.",
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

    The command replays the recording with the design in the recorded order. The exit status is 0 only if
    everything agrees: slot numbers, use counts, scans, flushes, evicted pages and sleeps of a kmap pool; lazy
    pages, and moments, ranges and numbers of areas of purges of vmalloc. Fields that the recording lacks are
    listed and not compared. With --free, the order differs, so the command prints the difference of each
    count.
    """
    from pipeline.errors import FindingError, UsageError
    from pipeline.importing.kmap_pool.recordings import recording_path
    from pipeline.importing.vmalloc.recording import is_recording
    from pipeline.io.files import readable_file
    from pipeline.io.key_values import key_values

    path, values = recording_path(recording), key_values(options or [], "--set")
    readable_file(path, "a recording of a kernel's kmap pool or of its vmalloc")
    if is_recording(path):
        from pipeline.studies.conformance.area_lockstep import verify_areas

        if free or machine is not None or start == "fresh":
            raise UsageError(
                f"{path} is a recording of vmalloc; --free, --machine and --start are for a pool: omit them"
            )
        found = verify_areas(path, allocator=allocator, options=values, tsc_ghz=tsc_ghz)
    elif free:
        from pipeline.studies.conformance.free_running import verify_free

        comparison = verify_free(path, allocator=allocator, machine=machine, options=values, tsc_ghz=tsc_ghz)
        typer.echo(comparison.text(), nl=False)
        return
    else:
        from pipeline.studies.conformance.lockstep import verify as compare

        found = compare(path, allocator=allocator, options=values, start=start)
    typer.echo(found.text(), nl=False)
    if not found.agrees:
        raise typer.Exit(FindingError.exit_status)
