"""`pipeline runs`: list, label and remove runs."""

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
    """List, label and remove runs.

    `pipeline runs [DIR...]` is short for `pipeline runs list [DIR...]`.
    """


@runs.command("list", cls=Command)
def list_(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Directories of runs, or run directories (default: runs)."),
    ] = None,
) -> None:
    """List runs with their settings, logs and sizes."""
    from pipeline.runs.collection import list_runs

    typer.echo(list_runs(places or [Path("runs")]), nl=False)


@runs.command(cls=Command)
def label(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Name of the run in reports and queries.")],
) -> None:
    """Set the label of a run."""
    from pipeline.runs.store import set_label

    typer.echo(f"{run}: {set_label(run, text).label}")


@runs.command(cls=Command)
def rm(
    which: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run directories.")],
) -> None:
    """Remove runs from disk."""
    from pipeline.runs.collection import remove_runs
    from pipeline.runs.store import expand_patterns

    for gone in remove_runs(expand_patterns(which)):
        typer.echo(f"{gone.path}: removed, {gone.size / 1e6:,.1f} MB")


@runs.command(cls=Command)
def prune(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of runs.")] = Path("runs"),
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", metavar="DAYS", min=0, help="Also remove runs older than this."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be removed, and remove nothing.")
    ] = False,
) -> None:
    """Remove leftovers and old runs.

    Leftovers are files of interrupted runs and generated traces that no run uses.
    """
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
