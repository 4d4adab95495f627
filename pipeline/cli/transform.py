"""`pipeline transform`: derive a trace from another trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force


def transform(
    trace: Annotated[
        str | None,
        typer.Argument(
            metavar="TRACE",
            help="A trace (.parquet), or the name of a shipped recording: local, kcsleep2.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        list[str] | None,
        typer.Argument(metavar="STEP", help="Transformations, applied in this order.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Trace to write (.parquet).")
    ] = None,
    list_steps: Annotated[bool, typer.Option("--list", help="Print the available steps, then exit.")] = False,
    force: Force = False,
) -> None:
    """Cut, filter, scale, stretch or join traces.

    The new trace records the steps in its metadata. Examples of steps: window=0.2s..1.5s, tasks=0-3+7,
    processes=0+2, sample=0.25, replicate=4,share=0.5, stretch=2,hold=1, highmem=0.5, append=OTHER.parquet.
    See --list for a description of each.
    """
    from pipeline.errors import UsageError
    from pipeline.io.outputs import choose_output
    from pipeline.io.tables import align_columns
    from pipeline.trace.names import trace_path
    from pipeline.trace.transform.apply import transform as apply_steps
    from pipeline.trace.transform.apply import usages

    if list_steps:
        print(align_columns(usages()), end="")
        return
    if trace is None or output is None:
        missing = [what for what, given in (("TRACE", trace), ("-o FILE", output)) if given is None]
        raise UsageError(f"missing {' and '.join(missing)}; see 'pipeline transform --help'")
    choose_output(output, ("parquet",), force=force)
    result = apply_steps(trace_path(trace), output, steps or [])
    for step, before, after in zip(result.steps, result.operations, result.operations[1:], strict=False):
        print(f"{step}: {before:,} operations before, {after:,} after")
    metadata = result.metadata
    print(f"{result.output}: {metadata.tasks:,} tasks, {metadata.processes:,} processes")
