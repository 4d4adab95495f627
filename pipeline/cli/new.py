"""`pipeline new`: something of your own to start from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer


def new(
    kind: Annotated[
        Literal["allocator"],
        typer.Argument(metavar="allocator", help="What to write: a mapping design and its test."),
    ],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Its name; the files are NAME.py, test_NAME.py.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory that the files are put into.")
    ] = Path(),
) -> None:
    """Write a mapping design of your own to start from, which replays as it is, and its test.

    Nothing is overwritten. docs/write-an-allocator.md goes on from there.
    """
    from pipeline.allocators.new import new_allocator

    allocator, test = new_allocator(name, output)
    # A word with a slash or the suffix alone is taken for a path; a leading dash would be an option.
    path = shlex.quote(str(allocator) if allocator.is_absolute() else f"./{allocator}")
    typer.echo(allocator)
    typer.echo(test)
    typer.echo("try next:")
    typer.echo(f"  pipeline replay local --allocator {path} --machine smp4-2002")
    typer.echo(f"  python -m pytest {shlex.quote(str(test))}")
