"""`pipeline compare`: decide whether B is better than A, worse, or the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli._command import Costs, Cpus, Jitter, KeptRuns, Operations, Workers


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="Baseline: a run, a directory of runs or a sweep; a design, as "
            "NAME:OPTION=VALUE:costs.COST=VALUE; or a trace.",
        ),
    ],
    b: Annotated[
        str, typer.Argument(metavar="B", help="What to compare with the baseline, of the same kind.")
    ],
    trace: Annotated[
        str | None,
        typer.Option(
            "--trace",
            "-t",
            metavar="TRACE",
            help="Trace, shipped recording or workload to replay; required for designs.",
        ),
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option(
            "--machine",
            "-m",
            metavar="PROFILE",
            help="A machine profile (see `pipeline machines`) or a .toml file; required for designs.",
        ),
    ] = None,
    replications: Annotated[
        int,
        typer.Option(
            "--replications",
            "-n",
            metavar="N",
            min=1,
            help="Number of pairs of runs, each with its own seed.",
        ),
    ] = 10,
    cpus: Cpus = None,
    operations: Operations = None,
    jitter: Jitter = None,
    costs: Costs = None,
    output: KeptRuns = None,
    workers: Workers = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="METRIC", help="Judge only this metric (default: all); may be repeated."
        ),
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            "--margin", metavar="PERCENT", min=0, help="Treat differences within this margin as none."
        ),
    ] = 1.0,
    undecided: Annotated[
        Literal["fail", "pass"],
        typer.Option("--undecided", help="Exit status of an undecided comparison: 7 (fail) or 0 (pass)."),
    ] = "fail",
    form: Annotated[Literal["text", "md", "json"], typer.Option("--format", help="Output format.")] = "text",
) -> None:
    """Compare B with A: runs, designs or traces.

    The command pairs the runs of A and B. It prints a verdict for each metric and the causes of the
    difference. If A and B are designs, it first replays --trace on --machine with both. --replications,
    --cpus, --ops, --jitter, --cost, --output and --workers apply only to designs.

    The exit status is 0 if B is identical, better or the same, 6 if it is worse in any metric, and 7 if the
    comparison is undecided.
    """
    from pipeline.compare.compare import compare as compare_sides
    from pipeline.compare.render import render
    from pipeline.compare.sides import Designs, find_sides, is_pair_of_traces
    from pipeline.runs.metrics import select_metrics
    from pipeline.sweeps.sweep import Means, Observer

    chosen = select_metrics(metrics)
    if is_pair_of_traces(a, b):
        from pipeline.compare.traces import compare_traces

        typer.echo(compare_traces(Path(a), Path(b)).render(form), nl=False)
        return
    designs = Designs(
        trace, machine, replications, cpus, operations, jitter, costs or [], output, Means(workers),
        Observer(note=lambda note: typer.echo(f"pipeline: {note}", err=True)),
    )  # fmt: skip
    comparison = compare_sides(*find_sides(a, b, designs), chosen, margin / 100)
    typer.echo(render(comparison, form), nl=False)
    raise typer.Exit(comparison.exit_status(undecided == "pass"))
