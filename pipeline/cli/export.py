"""`pipeline export`: write the log of a run for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force, Memory


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write, compressed if its name ends in .gz; - is standard output.",
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="perfetto or chrome: a timeline; csv or parquet: a table with a row per event. Default: by "
            "the suffix of --output, else perfetto.",
        ),
    ] = None,
    from_ms: Annotated[
        float | None,
        typer.Option("--from-ms", metavar="MS", help="Start of the window, in ms of simulated time."),
    ] = None,
    to_ms: Annotated[
        float | None,
        typer.Option("--to-ms", metavar="MS", help="End of the window, in ms of simulated time."),
    ] = None,
    around_op: Annotated[
        int | None,
        typer.Option("--around-op", metavar="N", help="Select a window around operation N of the trace."),
    ] = None,
    force: Force = False,
    memory: Memory = None,
) -> None:
    """Write a run as a timeline or as a table.

    Timelines open in ui.perfetto.dev or in Chrome's trace viewers.
    """
    from pipeline.errors import unknown_name
    from pipeline.export.export import FORMATS, TIMELINES
    from pipeline.export.export import export as write
    from pipeline.io.files import STDOUT
    from pipeline.io.outputs import choose_output
    from pipeline.sql.connection import set_memory

    set_memory(memory)
    if form is not None and form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    chosen = choose_output(output, FORMATS, form, force=force, stdout=True, compressible=(*TIMELINES, "csv"))

    def warn(message: str) -> None:
        typer.echo(f"pipeline: {message}", err=True)

    done = write(run, chosen, output, from_ms=from_ms, to_ms=to_ms, around_op=around_op, warn=warn)
    typer.echo(done.text, err=output == STDOUT)
