"""`pipeline new`: create the files of a new design."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer


def new(
    kind: Annotated[
        Literal["allocator"],
        typer.Argument(metavar="allocator", help="The word 'allocator': create a design and its test."),
    ],
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Name of the design; the files are NAME.py and test_NAME.py."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory for the files.")
    ] = Path(),
) -> None:
    """Create a working design and its test as a template.

    Existing files are not overwritten. docs/write-an-allocator.md describes the next steps.
    """
    from pipeline.allocators.new import new_allocator

    allocator, test = new_allocator(name, output)
    # Only a word with a slash or the suffix is taken as a path; a leading dash would be an option.
    path = shlex.quote(str(allocator) if allocator.is_absolute() else f"./{allocator}")
    typer.echo(allocator)
    typer.echo(test)
    typer.echo("try next:")
    typer.echo(f"  pipeline replay local --allocator {path} --machine smp4-2002")
    typer.echo(f"  python -m pytest {shlex.quote(str(test))}")
