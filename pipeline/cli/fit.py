"""`pipeline fit`: fit a workload to a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force, TraceName


def fit(
    trace: TraceName,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Workload to write (.toml).", show_default=False),
    ],
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Seed of the trace generated for comparison.")
    ] = 0,
    force: Force = False,
) -> None:
    """Fit a workload to a trace.

    The command writes the workload, generates a trace from it and compares that trace with the original.
    """
    from pipeline.io.outputs import choose_output
    from pipeline.trace.names import trace_path
    from pipeline.workload.fit.fit import fit as fitted

    choose_output(output, ("toml",), force=force)
    result = fitted(trace_path(trace), output, seed=seed)
    print(result.table(), end="")
    for line in result.not_expressed:
        print(f"note: {line}")
    print(f"{result.output}: fitted to {result.operations:,} operations")
