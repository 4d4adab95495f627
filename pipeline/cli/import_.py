"""`pipeline import`: convert a recording into a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force, TscGhz

_PAGE_KIB = 4


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="RECORDING",
            help="File to import, or the name of a shipped recording (wrap16, kcsleep2, stacks-and-bpf, "
            "eight-cpus).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Trace to write (.parquet).", show_default=False),
    ],
    format: Annotated[
        str | None,
        typer.Option("--format", help="Format of the recording (default: detected from its content)."),
    ] = None,
    threads: Annotated[
        bool, typer.Option("--threads", help="Treat all recorded tasks as threads of one process.")
    ] = False,
    tsc_ghz: TscGhz = None,
    kernel: Annotated[
        str | None,
        typer.Option("--kernel", metavar="VERSION", help="Version of the recorded kernel, for the metadata."),
    ] = None,
    lost_events: Annotated[
        int | None,
        typer.Option(
            "--lost-events", metavar="N", min=0, help="Number of events that the recorder lost, if known."
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping",
            metavar="FILE",
            help="Mapping file (.toml) for a CSV or Parquet table of another tool.",
        ),
    ] = None,
    page_kib: Annotated[
        int,
        typer.Option(
            "--page-kib", metavar="KIB", help="Page size of the recorded machine in KiB: 4, 16 or 64."
        ),
    ] = _PAGE_KIB,
    page_table_span_mib: Annotated[
        int | None,
        typer.Option(
            "--page-table-span-mib",
            metavar="MIB",
            help="Memory in MiB that one page of page-table entries maps (default: computed for 8-byte "
            "entries, which is 2 for 4 KiB pages). Use 4 for 32-bit x86 without PAE.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Reject a recording that has incomplete or lost data.")
    ] = False,
    force: Force = False,
) -> None:
    """Convert a recording of a real kernel into a trace.

    The command prints which columns of the trace were measured, derived or assumed.
    """
    from pipeline.errors import UsageError
    from pipeline.importing.import_trace import import_trace
    from pipeline.io.files import copy_file
    from pipeline.io.outputs import choose_output
    from pipeline.io.resources import shipped_areas, shipped_recordings
    from pipeline.trace.reader import find_own_metadata

    choose_output(output, ("parquet",), force=force)
    if not file.exists():
        file = (shipped_recordings() | shipped_areas()).get(str(file), file)
    if format is None and mapping is None and (trace := find_own_metadata(file)) is not None:
        if any((threads, tsc_ghz, kernel, lost_events, page_kib != _PAGE_KIB, page_table_span_mib)):
            raise UsageError(
                f"{file}: this file is already a trace, and import keeps its metadata; omit the options that "
                "change metadata, or read only the columns with --format trace-table"
            )
        copy_file(file, output)
        print(f"{output}: {trace.operations:,} operations, copied because {file} is already a trace")
        return
    result = import_trace(
        file, output, format, kernel=kernel, lost_events=lost_events, threads=threads, tsc_ghz=tsc_ghz,
        mapping=mapping, page_kib=page_kib, page_table_span_mib=page_table_span_mib, strict=strict,
    )  # fmt: skip
    metadata = result.metadata
    print(f"{result.output}: {result.rows_out:,} operations from {result.rows_in:,} rows ({result.format})")
    print(f"  {metadata.tasks:,} tasks, {metadata.processes:,} processes, {metadata.pages:,} pages")
    for provenance in ("measured", "derived", "assumed", "absent"):
        names = [name for name, found in metadata.columns.items() if found == provenance]
        if names:
            print(f"  {provenance:<9} {', '.join(names)}")
    for note in metadata.notes:
        print(f"  note: {note}")
