"""`pipeline import`: make a trace of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force

_PAGE_KIB = 4


def import_(
    file: Annotated[Path, typer.Argument(help="The recording.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The trace to write (Parquet).", show_default=False)
    ],
    format: Annotated[
        str | None,
        typer.Option("--format", help="Format of the recording; found from its content if left out."),
    ] = None,
    threads: Annotated[
        bool, typer.Option("--threads", help="All recorded tasks are threads of one process.")
    ] = False,
    tsc_ghz: Annotated[
        float | None,
        typer.Option(
            "--tsc-ghz", min=0.001, help="Rate of the time-stamp counter, if times count its ticks."
        ),
    ] = None,
    kernel: Annotated[str | None, typer.Option("--kernel", help="Kernel that was recorded.")] = None,
    lost_events: Annotated[
        int | None, typer.Option("--lost-events", min=0, help="Events that the recorder lost, if known.")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping", help="What a table's columns are, for CSV and Parquet of another tool (TOML)."
        ),
    ] = None,
    page_kib: Annotated[
        int, typer.Option("--page-kib", help="Page size of the recorded machine in KiB: 4, 16 or 64.")
    ] = _PAGE_KIB,
    page_table_span_mib: Annotated[
        int | None,
        typer.Option(
            "--page-table-span-mib",
            help="MiB that a page of page-table entries maps there; default: with entries of 8 bytes, "
            "2 for pages of 4 KiB. 4 on 32-bit x86 without PAE.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a recording that lacks anything.")] = False,
    force: Force = False,
) -> None:
    """Make a trace of a recording of a real kernel, and say what of it was measured and what was not."""
    from pipeline.errors import UsageError
    from pipeline.importing.import_trace import import_trace
    from pipeline.io.files import copy_file
    from pipeline.io.outputs import choose_output
    from pipeline.trace.reader import find_own_metadata

    choose_output(output, ("parquet",), force=force)
    if format is None and mapping is None and (trace := find_own_metadata(file)) is not None:
        if any((threads, tsc_ghz, kernel, lost_events, page_kib != _PAGE_KIB, page_table_span_mib)):
            raise UsageError(
                f"{file}: is a trace already, whose metadata is kept; leave out the options that change it, "
                "or read its columns alone with --format trace-table"
            )
        copy_file(file, output)
        print(f"{output}: {trace.operations:,} operations, copied: {file} is a trace already")
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
