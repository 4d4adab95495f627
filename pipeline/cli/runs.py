"""`pipeline runs`: what runs there are, naming them, and removing them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Command, GroupWithDefault


class _Runs(GroupWithDefault):
    default = "list"


runs = typer.Typer(rich_markup_mode=None, cls=_Runs)


@runs.callback()
def describe() -> None:
    """List runs, give them labels, and remove them.

    `pipeline runs [DIR...]` is short for `pipeline runs list [DIR...]`.
    """


@runs.command("list", cls=Command)
def list_(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Directories of runs, or runs; default: runs."),
    ] = None,
) -> None:
    """List runs: what was replayed on what, which log was kept, and how large it is."""
    from pipeline.runs.collection import list_runs

    typer.echo(list_runs(places or [Path("runs")]), nl=False)


@runs.command(cls=Command)
def label(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory of one run.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What reports and queries call it.")],
) -> None:
    """Give a run another label."""
    from pipeline.runs.store import set_label

    typer.echo(f"{run}: {set_label(run, text).label}")


@runs.command(cls=Command)
def rm(
    which: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Directories of runs.")],
) -> None:
    """Remove runs from disk."""
    from pipeline.runs.collection import remove_runs
    from pipeline.runs.store import expand_patterns

    for gone in remove_runs(expand_patterns(which)):
        typer.echo(f"{gone.path}: removed, {gone.size / 1e6:,.1f} MB")


@runs.command(cls=Command)
def prune(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="A directory of runs.")] = Path("runs"),
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", metavar="DAYS", min=0, help="Remove runs made earlier than that too."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove what interrupted runs left, traces of workloads that no run is of, and old runs."""
    from pipeline.runs.collection import find_leftovers, remove

    found = find_leftovers(directory, older_than)
    if not dry_run:
        remove(found)
    for gone in found:
        typer.echo(
            f"{gone.path}: {'would be ' if dry_run else ''}removed, {gone.why}, {gone.size / 1e6:,.1f} MB"
        )
    if not found:
        typer.echo(f"{directory}: nothing to remove")
