"""`pipeline allocators`: list and describe the available designs."""

from __future__ import annotations

from typing import Annotated

import typer


def allocators(
    name: Annotated[
        str | None,
        typer.Argument(metavar="ALLOCATOR", help="Describe this design and its options.", show_default=False),
    ] = None,
) -> None:
    """List the designs, or describe one design and its options."""
    from pipeline.allocators.registry import describe_allocator, list_allocators

    typer.echo(list_allocators() if name is None else describe_allocator(name), nl=False)
