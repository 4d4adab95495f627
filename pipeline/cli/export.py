"""`pipeline export`: a run's log for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; a name ending in .gz compresses it.")
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format", help="perfetto or chrome: a timeline; csv or parquet: the log line by line."
        ),
    ] = "perfetto",
    from_ms: Annotated[
        float | None, typer.Option("--from-ms", metavar="MS", help="Begin of a window in simulated time.")
    ] = None,
    to_ms: Annotated[float | None, typer.Option("--to-ms", metavar="MS", help="Its end.")] = None,
    around_op: Annotated[
        int | None,
        typer.Option("--around-op", metavar="N", help="A window round operation N of the trace instead."),
    ] = None,
) -> None:
    """Write a run as a timeline for ui.perfetto.dev or Chrome's viewers, or as one long table."""
    from pipeline.export.export import export as write

    def warn(message: str) -> None:
        typer.echo(f"pipeline: {message}", err=True)

    done = write(run, form, output, from_ms=from_ms, to_ms=to_ms, around_op=around_op, warn=warn)
    typer.echo(done.text)
