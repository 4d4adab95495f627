"""`pipeline export`: a run's log for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force


def export(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write; a name ending in .gz compresses it; - is standard output.",
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="perfetto or chrome: a timeline; csv or parquet: the log line by line. Default: by the "
            "ending of --output, else perfetto.",
        ),
    ] = None,
    from_ms: Annotated[
        float | None, typer.Option("--from-ms", metavar="MS", help="Begin of a window in simulated time.")
    ] = None,
    to_ms: Annotated[float | None, typer.Option("--to-ms", metavar="MS", help="Its end.")] = None,
    around_op: Annotated[
        int | None,
        typer.Option("--around-op", metavar="N", help="A window round operation N of the trace instead."),
    ] = None,
    force: Force = False,
    memory: Annotated[
        str | None,
        typer.Option("--memory", metavar="SIZE", help="Memory that queries may take, such as 500MB."),
    ] = None,
) -> None:
    """Write a run as a timeline for ui.perfetto.dev or Chrome's viewers, or as one long table."""
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
