"""`pipeline report`: one HTML page that compares runs, or the same in another form."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Run directories, directories of runs, and files of measured locks; or a sweep. Default: "
            "runs."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write, or of png and svg the directory for the charts; default: report with the "
            "format's suffix.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="html: one page; md: tables, and charts in words; json: all data and chart specifications; "
            "png, svg: a file for each chart. Default: by the suffix of --output, else html.",
        ),
    ] = None,
    item: Annotated[
        str | None,
        typer.Option(
            "--item",
            help="Only this item of the definition, such as flushes-per-second; png and svg: one file.",
        ),
    ] = None,
    definition: Annotated[
        str | None,
        typer.Option(
            "--definition", "-d", help="Report definition: a shipped name or a .toml file; default: default."
        ),
    ] = None,
) -> None:
    """Write one self-contained HTML page that compares runs, or the same as Markdown, JSON or pictures."""
    from pipeline.report.report import default_output
    from pipeline.report.report import report as write

    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    place = output or default_output(form, item)
    typer.echo(write(runs or [Path("runs")], place, definition, command, form, item))
