"""`pipeline demo`: from a real recording to a report, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory for traces, runs and reports.")
    ] = Path("demo"),
) -> None:
    """Replay a recording and two synthetic workloads through three designs; print the reports' paths."""
    from pipeline.demo import demo as run

    reports = run(output, lambda line: typer.echo(line, err=True))
    typer.echo("open in a browser:", err=True)
    for path in reports:
        typer.echo(str(path))
