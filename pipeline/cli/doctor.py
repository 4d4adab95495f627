"""`pipeline doctor`: examine a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def doctor(
    trace: Annotated[Path, typer.Argument(help="The trace (Parquet).", show_default=False)],
    format: Annotated[Literal["text", "json"], typer.Option("--format", help="How to print.")] = "text",
) -> None:
    """Say what a trace is and what is wrong with it; the exit status is 3 if it cannot be used."""
    from pipeline.errors import InputError
    from pipeline.trace.doctor import doctor as examine

    diagnosis = examine(trace)
    print(diagnosis.model_dump_json(indent=2) if format == "json" else diagnosis.text())
    if not diagnosis.usable:
        # The diagnosis has said everything; only the exit status is left to give.
        raise typer.Exit(InputError.exit_status)
