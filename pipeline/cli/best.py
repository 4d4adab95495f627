"""`pipeline best`: find the best design and size for a trace on a machine."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pipeline.cli._command import Cpus, Jitter, KeptRuns, Machine, Operations, Workers


def best(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[DESIGN.py...] TRACE",
            help="A trace (.parquet), or the name of a shipped recording or workload. Put .py files of your "
            "own designs before it; they compete with the shipped designs.",
        ),
    ],
    machine: Machine,
    allocators: Annotated[
        list[str] | None,
        typer.Option(
            "--allocator", "-a", metavar="NAMES", help="Consider only these designs, separated by commas."
        ),
    ] = None,
    sizes: Annotated[
        str,
        typer.Option(
            "--sizes", metavar="F,F...", help="Sizes to try, as multiples of each design's default size."
        ),
    ] = "0.25,1,4",
    metric: Annotated[
        Literal["throughput", "cpu"],
        typer.Option("--metric", help="Metric to optimise: highest throughput or lowest CPU time."),
    ] = "throughput",
    margin: Annotated[
        float,
        typer.Option("--margin", metavar="PERCENT", help="Treat designs within this margin as equally good."),
    ] = 1.0,
    cpus: Cpus = None,
    operations: Operations = None,
    jitter: Jitter = None,
    first: Annotated[
        int, typer.Option("--first", metavar="N", min=2, help="Replications of every candidate at the start.")
    ] = 10,
    most: Annotated[
        int,
        typer.Option(
            "--most", metavar="N", min=2, help="Maximum replications; after these the race ends undecided."
        ),
    ] = 60,
    output: KeptRuns = None,
    workers: Workers = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="Output format.")] = "text",
) -> None:
    """Find the best design for a trace on a machine.

    All designs race, each in several sizes: the designs for areas if mappings have several pages, and those
    for kmap otherwise. The exit status is 0 if one design was selected and 7 if the race ended undecided.
    """
    from pipeline.compare.best import select_best
    from pipeline.compare.best_text import render_selection
    from pipeline.compare.candidates import find_candidates, has_areas, parse_sizes
    from pipeline.compare.compare import UNDECIDED_STATUS
    from pipeline.compare.making import Conditions
    from pipeline.compare.sides import jitter_percent
    from pipeline.errors import UsageError
    from pipeline.sweeps.sweep import Means

    own = [word for word in words if word.endswith(".py")]
    traces = [word for word in words if word not in own]
    if len(traces) != 1:
        raise UsageError(
            f"expected one trace, found {' '.join(traces) or 'none'}; files of your own designs end in .py"
        )
    named = [name for text in allocators or () for name in text.split(",") if name]
    candidates = find_candidates(named, own, parse_sizes(sizes), has_areas(traces[0]))
    conditions = Conditions(
        traces[0], machine, first, cpus, operations, jitter_percent(jitter, traces[0], first)
    )
    selection = select_best(candidates, conditions, metric, margin / 100, most, output, Means(workers))
    typer.echo(render_selection(selection, form), nl=False)
    if not selection.decided:
        raise typer.Exit(UNDECIDED_STATUS)
