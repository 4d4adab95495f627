"""`pipeline explain`: describe what happened to an operation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory; the run must have an event log.")
    ],
    op: Annotated[
        list[int] | None,
        typer.Option(
            "--op", metavar="N", help="Operation, as its row number in the trace, from 0; may be repeated."
        ),
    ] = None,
    slowest: Annotated[
        int,
        typer.Option(
            "--slowest", metavar="K", help="Explain the K operations with the longest time to be mapped."
        ),
    ] = 0,
    form: Annotated[str, typer.Option("--format", help="Output format: text or json.")] = "text",
) -> None:
    """Explain where the time of an operation went.

    The explanation lists each wait of the operation with its cause and duration.
    """
    from pipeline.errors import unknown_name
    from pipeline.explain.explain import explain as explain_operations
    from pipeline.explain.narrative import FORMATS, format_explanations

    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    typer.echo(format_explanations(explain_operations(run, op or [], slowest), form), nl=False)
