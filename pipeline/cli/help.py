"""`pipeline help`: print the help of a command."""

from __future__ import annotations

from typing import Annotated

import typer


def help(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="A command and its subcommand, if any.", show_default=False),
    ] = None,
) -> None:
    """Print the help of a command.

    `pipeline help X` is the same as `pipeline X --help`.
    """
    from pipeline.cli import make_app

    asked = [*(words or ()), "--help"]
    make_app(asked[0])(asked, standalone_mode=False, prog_name="pipeline")
