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
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the profile's file instead, to start one of your own from.")
    ] = False,
) -> None:
    """List the machine profiles, or print one with the source of every cost.

    docs/machine-model.md says what is in a profile's file.
    """
    from pipeline.errors import UsageError
    from pipeline.machine.catalogue import list_profiles, profile_path

    if toml:
        if name is None:
            raise UsageError("--toml is for one machine; name it, as in 'pipeline machines numaq16 --toml'")
        typer.echo(profile_path(name).read_text(encoding="utf-8"), nl=False)
    elif name is None:
        typer.echo(list_profiles(), nl=False)
    else:
        from pipeline.machine.profile import describe_profile

        typer.echo(describe_profile(name), nl=False)
