"""`pipeline fit`: make a workload of a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force, TraceName


def fit(
    trace: TraceName,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The workload to write (.toml).", show_default=False
        ),
    ],
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of the trace that is generated to compare.")
    ] = 0,
    force: Force = False,
) -> None:
    """Write a workload whose traces are like this one, and say how like they are."""
    from pipeline.io.outputs import choose_output
    from pipeline.trace.names import trace_path
    from pipeline.workload.fit.fit import fit as fitted

    choose_output(output, ("toml",), force=force)
    result = fitted(trace_path(trace), output, seed=seed)
    print(result.table(), end="")
    for line in result.not_expressed:
        print(f"note: {line}")
    print(f"{result.output}: fitted to {result.operations:,} operations")
