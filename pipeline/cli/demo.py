"""`pipeline demo`: make reports from a real recording and synthetic workloads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory for traces, runs and reports.")
    ] = Path("demo"),
) -> None:
    """Replay three traces with three designs and write reports.

    The traces are a recording and two synthetic workloads. The command prints the paths of the reports.
    """
    from pipeline.demo import demo as run

    reports = run(output, lambda line: typer.echo(line, err=True))
    typer.echo("open these in a browser:", err=True)
    for path in reports:
        typer.echo(str(path))
