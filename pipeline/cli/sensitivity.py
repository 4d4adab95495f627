"""`pipeline sensitivity`: find how far the ranking of designs depends on the costs of the machine."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli._command import Cpus, Force, Jitter, KeptRuns, Machine, Workers


def sensitivity(
    trace: Annotated[
        str,
        typer.Argument(
            metavar="TRACE", help="A trace (.parquet), or the name of a shipped recording or workload."
        ),
    ],
    machine: Machine,
    allocators: Annotated[
        list[str],
        typer.Option(
            "--allocator", "-a", metavar="A,B", help="Two or more designs, each as NAME:OPTION=VALUE."
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="Set an option of every design that has it, or of one as DESIGN.KEY=VALUE; may be repeated.",
        ),
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", metavar="METRIC", help="Metric to judge by, as in `pipeline compare`.")
    ] = "throughput",
    costs: Annotated[
        list[str] | None,
        typer.Option("--cost", metavar="NAMES", help="Vary only these costs, separated by commas."),
    ] = None,
    draws: Annotated[
        int,
        typer.Option("--draws", metavar="N", min=2, help="Number of random draws of all costs together."),
    ] = 100,
    cpus: Cpus = None,
    operations: Annotated[
        int | None,
        typer.Option(
            "--ops",
            metavar="N",
            min=1,
            help="Number of operations to generate from a workload (default: 20,000).",
        ),
    ] = None,
    jitter: Jitter = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            metavar="N",
            min=0,
            max=(1 << 62) - 1,
            help="Seed of the draws and of the first generated trace.",
        ),
    ] = 0,
    output: KeptRuns = None,
    page: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Also write the answer as an HTML page.")
    ] = None,
    workers: Workers = None,
    form: Annotated[Literal["text", "md", "json"], typer.Option("--format", help="Output format.")] = "text",
    force: Force = False,
) -> None:
    """Vary machine costs to test a ranking of designs.

    The command varies all costs of the machine within their ranges. For each cost it finds the value at
    which the order of the designs changes. The exit status is 0 if in each pair of designs one is ahead in
    most draws, and 7 if a pair is undecided.
    """
    from pipeline.compare.compare import UNDECIDED_STATUS
    from pipeline.sensitivity.asking import ask
    from pipeline.sensitivity.render import render
    from pipeline.sweeps.sweep import Means

    if page is not None:
        from pipeline.io.outputs import choose_output

        choose_output(page, ("html",), force=force)
    found = ask(
        trace, machine, allocators, settings=settings or [], metric=metric, costs=costs or [], draws=draws,
        cpus=cpus, operations=operations, jitter=jitter, seed=seed, output=output, means=Means(workers),
    )  # fmt: skip
    if page is not None:
        from pipeline.sensitivity.page import write_page

        write_page(found, page, shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
    typer.echo(render(found, form), nl=False)
    if not found.decided:
        raise typer.Exit(UNDECIDED_STATUS)
