"""`pipeline machines`: list and print machine profiles."""

from __future__ import annotations

from typing import Annotated

import typer


def machines(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="MACHINE", help="Print this profile with the source of every cost.", show_default=False
        ),
    ] = None,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the profile's .toml file, as a template for your own.")
    ] = False,
) -> None:
    """List the machine profiles, or print one profile.

    docs/machine-model.md describes the file format.
    """
    from pipeline.errors import UsageError
    from pipeline.machine.catalogue import list_profiles, profile_path

    if toml:
        if name is None:
            raise UsageError("--toml requires a machine, as in 'pipeline machines numaq16 --toml'")
        typer.echo(profile_path(name).read_text(encoding="utf-8"), nl=False)
    elif name is None:
        typer.echo(list_profiles(), nl=False)
    else:
        from pipeline.machine.profile import describe_profile

        typer.echo(describe_profile(name), nl=False)
