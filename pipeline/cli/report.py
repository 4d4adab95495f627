"""`pipeline report`: one HTML page that compares runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Run directories or directories of runs; default: runs.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
    definition: Annotated[
        str | None,
        typer.Option(
            "--definition", "-d", help="Report definition: a shipped name or a .toml file; default: default."
        ),
    ] = None,
) -> None:
    """Write one self-contained HTML page with the charts and tables that compare runs."""
    from pipeline.report.page import report as write

    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    path = write(runs or [Path("runs")], output, definition, command)
    typer.echo(path)
