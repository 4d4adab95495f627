"""`pipeline study`: the shipped studies, each made anew."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.validate import validate
from pipeline.cli.verify import verify

study = typer.Typer()


@study.callback(invoke_without_command=True)
def list_studies(context: typer.Context) -> None:
    """Hold allocators and the machine against what was claimed, recorded and measured."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def claims(
    letters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LETTER]...", help="Claims to replay, a to m; without any, all of them."),
    ] = None,
    document: Annotated[
        Path | None,
        typer.Option("--document", metavar="FILE", help="Write the verdicts here, as docs/claims.md is."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="DIR",
            help="Keep every workload, profile, trace and run here, for `pipeline sql` and others.",
        ),
    ] = None,
) -> None:
    """Replay what was claimed of the designs and say of each claim whether it holds.

    Outcomes are holds, does not hold, and depends (with what on). The exit status tells only whether it ran.
    """
    from pipeline.studies.claims.registry import judge_claims, select_claims, write_claims

    selected = select_claims(letters or [])
    if document is not None:
        typer.echo(str(write_claims(document, selected, keep)))
        return
    for verdict in judge_claims(selected, keep):
        typer.echo(verdict.text())


def matrix(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DESIGN]...", help="Designs to compare beside the bounds; without any, all."),
    ] = None,
    document: Annotated[
        Path | None,
        typer.Option(
            "--document", metavar="FILE", help="Write tables and judgements, as docs/designs.md is."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write charts, as one HTML page.")
    ] = None,
    operations: Annotated[
        int,
        typer.Option("--ops", metavar="N", help="Operations of synthetic traces for each CPU."),
    ] = 3_000,
    cpus: Annotated[str, typer.Option("--cpus", metavar="N,N...", help="Numbers of CPUs.")] = "1,4,16,64",
    machines: Annotated[
        list[str] | None,
        typer.Option(
            "--machine", "-m", metavar="PROFILE", help="Machines; by default one of 2002, one of today."
        ),
    ] = None,
) -> None:
    """Compare all designs on three traces, and judge what was said of them; takes a minute or two.

    The exit status is 5 if a design is outside a bound without a reason, or if a judgement that was written
    for other figures no longer fits.
    """
    from pipeline.errors import FindingError, UsageError
    from pipeline.studies.matrix.designs_page import compare_allocators, write_designs
    from pipeline.studies.matrix.grid import MACHINES

    try:
        counts = [int(count) for count in cpus.split(",")]
    except ValueError:
        raise UsageError(f"--cpus wants numbers with commas between, found '{cpus}'") from None
    with compare_allocators(names or [], machines or MACHINES, counts, operations) as comparison:
        if document is not None:
            typer.echo(str(write_designs(document, comparison)))
        if report is not None:
            from pipeline.studies.matrix.chart_page import write_report

            command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
            typer.echo(str(write_report(report, comparison, command)))
        if document is None and report is None:
            typer.echo(comparison.text(), nl=False)
    for stale in comparison.stale:
        typer.echo(f"to be judged anew: {stale.allocator}: {stale.claim}", err=True)
    if comparison.stale or not all(breach.explained for breach in comparison.outside):
        raise typer.Exit(FindingError.exit_status)


study.command("claims")(claims)
study.command("matrix")(matrix)
study.command("kernel")(verify)
study.command("lockmeter")(validate)
