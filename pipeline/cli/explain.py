"""`pipeline explain`: what happened to an operation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    run: Annotated[Path, typer.Argument(help="Directory of one run, with its log.")],
    op: Annotated[
        list[int] | None,
        typer.Option("--op", help="Operation: its row of the trace, from 0; may be repeated."),
    ] = None,
    slowest: Annotated[
        int, typer.Option("--slowest", metavar="K", help="The K operations that took longest to be mapped.")
    ] = 0,
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Tell what happened to an operation: whom it waited for, why, and how long."""
    from pipeline.errors import unknown_name
    from pipeline.explain.explain import explain as explain_operations
    from pipeline.explain.narrative import FORMATS, format_explanations

    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    typer.echo(format_explanations(explain_operations(run, op or [], slowest), form), nl=False)
