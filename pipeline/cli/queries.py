"""`pipeline queries`: what the query library can answer."""

from __future__ import annotations

from typing import Annotated

import typer


def queries(
    name: Annotated[
        str | None,
        typer.Argument(help="A query's name or .sql file, to see its parameters, columns and SQL."),
    ] = None,
    views: Annotated[bool, typer.Option("--views", help="Describe the views and macros of SQL.")] = False,
) -> None:
    """List the questions of the query library, or describe one of them."""
    if views:
        from pipeline.sql.describe import describe_views

        text = describe_views()
    else:
        from pipeline.sql.library import describe_queries

        text = describe_queries(name)
    typer.echo(text, nl=False)
