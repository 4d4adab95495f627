"""`pipeline best`: which design, of which size, for this trace on this machine?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def best(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[DESIGN.py...] TRACE",
            help="The trace: a path, a shipped recording or a workload by name. Before it, designs of one's "
            "own that take part beside the shipped ones.",
        ),
    ],
    machine: Annotated[
        str, typer.Option("--machine", "-m", metavar="PROFILE", help="A machine, or a .toml file.")
    ],
    allocators: Annotated[
        list[str] | None,
        typer.Option("--allocator", "-a", metavar="NAMES", help="Only these designs, with commas between."),
    ] = None,
    sizes: Annotated[
        str,
        typer.Option("--sizes", metavar="F,F...", help="Sizes of every design, as factors of its default."),
    ] = "0.25,1,4",
    metric: Annotated[
        Literal["throughput", "cpu"],
        typer.Option("--metric", help="What is best: most operations, least CPU time."),
    ] = "throughput",
    margin: Annotated[
        float, typer.Option("--margin", metavar="PERCENT", help="Designs this close are as good.")
    ] = 1.0,
    cpus: Annotated[int | None, typer.Option("--cpus", metavar="N", help="Number of CPUs.")] = None,
    operations: Annotated[
        int | None, typer.Option("--ops", metavar="N", min=1, help="Operations of a workload.")
    ] = None,
    jitter: Annotated[
        str | None, typer.Option("--jitter", metavar="PERCENT", help="Scale think and wait times at random.")
    ] = None,
    first: Annotated[
        int, typer.Option("--first", metavar="N", min=2, help="Replications of everybody at first.")
    ] = 10,
    most: Annotated[
        int, typer.Option("--most", metavar="N", min=2, help="Replications at most; then it is undecided.")
    ] = 60,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Keep the runs here, as a sweep.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Processes; one per CPU if absent.")
    ] = None,
    form: Annotated[
        Literal["text", "json"], typer.Option("--format", help="How the answer is written.")
    ] = "text",
) -> None:
    """Find the best design for a trace on a machine by racing all of them, each in some sizes.

    The exit status is 0 if one was selected and 7 if the race ended undecided.
    """
    from pipeline.compare.best import select_best
    from pipeline.compare.best_text import render_selection
    from pipeline.compare.candidates import find_candidates, parse_sizes
    from pipeline.compare.compare import UNDECIDED_STATUS
    from pipeline.compare.making import Conditions
    from pipeline.compare.sides import jitter_percent
    from pipeline.errors import UsageError
    from pipeline.sweeps.sweep import Means

    own = [word for word in words if word.endswith(".py")]
    traces = [word for word in words if word not in own]
    if len(traces) != 1:
        raise UsageError(
            f"wanted one trace, found {' '.join(traces) or 'none'}; designs of one's own end in .py"
        )
    named = [name for text in allocators or () for name in text.split(",") if name]
    candidates = find_candidates(named, own, parse_sizes(sizes))
    conditions = Conditions(
        traces[0], machine, first, cpus, operations, jitter_percent(jitter, traces[0], first)
    )
    selection = select_best(candidates, conditions, metric, margin / 100, most, output, Means(workers))
    typer.echo(render_selection(selection, form), nl=False)
    if not selection.decided:
        raise typer.Exit(UNDECIDED_STATUS)
