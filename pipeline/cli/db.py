"""`pipeline db`: write a database file over runs for any DuckDB client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def db(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN",
            help="Run directories, directories of runs, or recordings as for `pipeline sql` (default: runs).",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Database file to write."),
    ] = Path("runs.duckdb"),
    relative: Annotated[
        bool,
        typer.Option(
            "--relative", help="Store paths relative to the database, so runs and database can move together."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite an existing database that this command wrote.")
    ] = False,
) -> None:
    """Write a database of views over runs.

    The file contains the views, macros and library queries of `pipeline sql`. Any DuckDB client can open it.
    The data stays in the runs.
    """
    from pipeline.io.numbers import format_count
    from pipeline.io.outputs import choose_output
    from pipeline.sql.database import write_database

    choose_output(output, ("duckdb",), force=force)
    count = write_database(runs or [Path("runs")], output, relative)
    typer.echo(
        f"{output}: tables and views of {format_count(count, 'run')}, and each library query as a macro"
    )
    typer.echo(f"open it with, for example, 'duckdb {output}' and enter: FROM lockmeter();")
