"""`pipeline db`: runs as a database file for any DuckDB client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def db(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run directories, directories of runs, or recordings as for sql; default: runs."),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Database file to write."),
    ] = Path("runs.duckdb"),
    relative: Annotated[
        bool,
        typer.Option(
            "--relative", help="Find the runs from the database's directory, so that both can move together."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the database if this command made the one there.")
    ] = False,
) -> None:
    """Write a small database of views, macros and queries over runs, for any DuckDB client."""
    from pipeline.io.numbers import format_count
    from pipeline.io.outputs import choose_output
    from pipeline.sql.database import write_database

    choose_output(output, ("duckdb",), force=force)
    count = write_database(runs or [Path("runs")], output, relative)
    has = format_count(count, "run")
    typer.echo(f"{output}: {has}, as tables and views, with each query of the library as a macro")
    typer.echo(f"open it with 'duckdb {output}', for example, and ask: FROM lockmeter();")
