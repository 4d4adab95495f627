"""`pipeline machines`: the machine profiles that can be simulated."""

from __future__ import annotations

from typing import Annotated

import typer


def machines(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="MACHINE", help="Print this profile: every cost and its source.", show_default=False
        ),
    ] = None,
) -> None:
    """List the machine profiles, or print one with the source of every cost."""
    from pipeline.machine.profile import describe_profile, list_profiles

    typer.echo(list_profiles() if name is None else describe_profile(name), nl=False)
