"""`pipeline sensitivity`: how far do the machine's prices decide which design is better?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli._command import Force


def sensitivity(
    trace: Annotated[
        str, typer.Argument(metavar="TRACE", help="A path, a shipped recording, or a workload by name.")
    ],
    machine: Annotated[
        str, typer.Option("--machine", "-m", metavar="PROFILE", help="A machine, or a .toml file.")
    ],
    allocators: Annotated[
        list[str],
        typer.Option(
            "--allocator", "-a", metavar="A,B", help="Two designs or more, each as NAME:OPTION=VALUE."
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", metavar="NAME=VALUE", help="An option of all designs that have it, or DESIGN.NAME."
        ),
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", metavar="NAME", help="What is better, as `pipeline compare` judges by.")
    ] = "throughput",
    costs: Annotated[
        list[str] | None,
        typer.Option("--cost", metavar="NAMES", help="Vary only these prices, with commas between."),
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", metavar="N", min=2, help="Draws of all prices together.")
    ] = 100,
    cpus: Annotated[int | None, typer.Option("--cpus", metavar="N", help="Number of CPUs.")] = None,
    operations: Annotated[
        int | None,
        typer.Option("--ops", metavar="N", min=1, help="Operations of a workload; 20,000 if absent."),
    ] = None,
    jitter: Annotated[
        str | None, typer.Option("--jitter", metavar="PERCENT", help="Scale think and wait times at random.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=(1 << 62) - 1, help="Of the draws, and of the first trace.")
    ] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Keep the runs here, as a sweep.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Draw the answer as an HTML page too.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Processes; one per CPU if absent.")
    ] = None,
    form: Annotated[
        Literal["text", "md", "json"], typer.Option("--format", help="How the answer is written.")
    ] = "text",
    force: Force = False,
) -> None:
    """Vary all prices of a machine in their ranges, and find at which value of each the order turns.

    The exit status is 0 if of each two designs one is ahead in most draws, and 7 if that is undecided.
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
