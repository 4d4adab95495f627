"""`pipeline db`: runs as a database file for any DuckDB client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def db(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Run directories or directories of runs; default: runs.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Database file to write; one made by this command is replaced."),
    ] = Path("runs.duckdb"),
    relative: Annotated[
        bool,
        typer.Option(
            "--relative", help="Find the runs from the database's directory, so that both can move together."
        ),
    ] = False,
) -> None:
    """Write a small database of views, macros and queries over runs, for any DuckDB client."""
    from pipeline.analysis.database import write_database

    made = write_database(runs or [Path("runs")], output, relative)
    typer.echo(
        f"{made.path}: {made.runs} run{'s' * (made.runs != 1)} in {made.views} tables and views, "
        f"{made.macros} macros and {made.queries} queries as macros"
    )
    typer.echo(f"open it with 'duckdb {made.path}', for example, and ask: FROM lockmeter();")
