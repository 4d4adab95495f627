"""`pipeline compare`: is B better than A, worse, the same, or is that undecided?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="A run, a directory of runs or a sweep; a design with --trace and --machine, as "
            "NAME:OPTION=VALUE:costs.COST=VALUE; or a trace.",
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="What is compared with it, of the same sort.")],
    trace: Annotated[
        str | None,
        typer.Option("--trace", "-t", metavar="TRACE", help="Of designs: the trace, or a workload by name."),
    ] = None,
    machine: Annotated[
        str | None, typer.Option("--machine", "-m", metavar="PROFILE", help="Of designs: the machine.")
    ] = None,
    replications: Annotated[
        int,
        typer.Option(
            "--replications", "-n", metavar="N", min=1, help="Of designs: pairs of runs with other seeds."
        ),
    ] = 10,
    cpus: Annotated[
        int | None, typer.Option("--cpus", metavar="N", help="Of designs: number of CPUs.")
    ] = None,
    operations: Annotated[
        int | None, typer.Option("--ops", metavar="N", min=1, help="Of designs: operations of a workload.")
    ] = None,
    jitter: Annotated[
        str | None,
        typer.Option(
            "--jitter", metavar="PERCENT", help="Of designs: scale think and wait times at random, as replay."
        ),
    ] = None,
    costs: Annotated[
        list[str] | None,
        typer.Option(
            "--cost", metavar="NAME=VALUE", help="Of designs: a cost in place of the machine's own."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Of designs: keep the runs here, as a sweep."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Of designs: processes; one per CPU if absent."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="NAME", help="Judge by this metric only; may be repeated. By default by all."
        ),
    ] = None,
    margin: Annotated[
        float, typer.Option("--margin", metavar="PERCENT", min=0, help="Sides this close are the same.")
    ] = 1.0,
    undecided: Annotated[
        Literal["fail", "pass"],
        typer.Option("--undecided", help="Whether undecided ends with status 7 or 0."),
    ] = "fail",
    form: Annotated[
        Literal["text", "md", "json"], typer.Option("--format", help="How the answer is written.")
    ] = "text",
) -> None:
    """Compare B with A: runs in pairs, a verdict for each metric, and what moved.

    The exit status is 0 if B is identical, better or the same, 6 if it is worse in any metric, and 7 if that
    is undecided.
    """
    from pipeline.compare.compare import compare as compare_sides
    from pipeline.compare.render import render
    from pipeline.compare.sides import Designs, find_sides, is_pair_of_traces
    from pipeline.runs.metrics import select_metrics
    from pipeline.sweeps.sweep import Means

    chosen = select_metrics(metrics)
    if is_pair_of_traces(a, b):
        from pipeline.compare.traces import compare_traces

        typer.echo(compare_traces(Path(a), Path(b)).render(form), nl=False)
        return
    designs = Designs(
        trace, machine, replications, cpus, operations, jitter, costs or [], output, Means(workers)
    )
    comparison = compare_sides(*find_sides(a, b, designs), chosen, margin / 100)
    typer.echo(render(comparison, form), nl=False)
    raise typer.Exit(comparison.exit_status(undecided == "pass"))
