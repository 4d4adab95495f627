"""`pipeline doctor`: check a trace."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pipeline.cli._command import TraceName


def doctor(
    trace: TraceName,
    format: Annotated[Literal["text", "json"], typer.Option("--format", help="Output format.")] = "text",
) -> None:
    """Describe a trace and list its problems.

    The exit status is 3 if the trace cannot be replayed.
    """
    from pipeline.errors import InputError
    from pipeline.trace.doctor import doctor as examine
    from pipeline.trace.names import trace_path

    diagnosis = examine(trace_path(trace))
    print(diagnosis.model_dump_json(indent=2) if format == "json" else diagnosis.text())
    if not diagnosis.usable:
        # The diagnosis contains the message.
        raise typer.Exit(InputError.exit_status)
