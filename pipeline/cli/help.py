"""`pipeline help`: what `--help` prints."""

from __future__ import annotations

from typing import Annotated

import typer


def help(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND]...", help="A command, and one within it.", show_default=False),
    ] = None,
) -> None:
    """Explain a command: `pipeline help X` prints what `pipeline X --help` does."""
    from pipeline.cli import make_app

    asked = [*(words or ()), "--help"]
    make_app(asked[0])(asked, standalone_mode=False, prog_name="pipeline")
