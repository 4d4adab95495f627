"""`pipeline queries`: list and describe the queries of the library."""

from __future__ import annotations

from typing import Annotated

import typer


def queries(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY", help="A query or a .sql file: print its parameters, columns and SQL."
        ),
    ] = None,
    views: Annotated[bool, typer.Option("--views", help="Describe the SQL views and macros.")] = False,
) -> None:
    """List the queries of the library, or describe one."""
    if views:
        from pipeline.sql.describe import describe_views

        text = describe_views()
    else:
        from pipeline.sql.library import describe_queries

        text = describe_queries(name)
    typer.echo(text, nl=False)
