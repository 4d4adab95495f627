"""`pipeline calibrate`: fit the machine and the workload to two lockmeter rows of 2002."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force


def calibrate(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where the fitted profile and workload are put."),
    ] = Path("calibration"),
    evaluations: Annotated[
        int, typer.Option("--evaluations", metavar="N", help="Parameter sets to try; about 4 s of CPU each.")
    ] = 600,
    step: Annotated[
        float,
        typer.Option("--step", metavar="X", help="First step, in parts of the distance between the bounds."),
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the search.")] = 1,
    seeds: Annotated[
        int,
        typer.Option("--seeds", metavar="N", help="Simulate each set with seeds 0 to N-1; medians count."),
    ] = 1,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Processes; one per CPU if absent.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Start at the values that the shipped files have.")
    ] = False,
    force: Force = False,
) -> None:
    """Fit the free parameters to rows A and D of 2002, by the procedure in docs/validation.md.

    Free parameters, bounds, start values and reasons are in pipeline/studies/calibration.toml. The
    sources of the shipped profile's costs name the search that gave them.
    """
    from pipeline.io.outputs import check_output_directory
    from pipeline.studies.calibration import calibrate as fit

    check_output_directory(output, force=force)
    result = fit(
        output, evaluations=evaluations, step=step, seed=seed, seeds=seeds, workers=workers, resume=resume
    )
    typer.echo(result.text(), nl=False)
