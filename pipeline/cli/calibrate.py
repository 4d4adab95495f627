"""`pipeline calibrate`: fit a machine profile and a workload to two lockmeter rows of 2002."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force, Workers


def calibrate(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Directory for the fitted profile and workload."),
    ] = Path("calibration"),
    evaluations: Annotated[
        int,
        typer.Option(
            "--evaluations", metavar="N", help="Number of parameter sets to try; each takes about 4 s of CPU."
        ),
    ] = 600,
    step: Annotated[
        float,
        typer.Option(
            "--step", metavar="X", help="Initial step, as a fraction of the distance between the bounds."
        ),
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the search.")] = 1,
    seeds: Annotated[
        int,
        typer.Option("--seeds", metavar="N", help="Simulate each set with seeds 0 to N-1 and use medians."),
    ] = 1,
    workers: Workers = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Start from the values of the shipped files.")
    ] = False,
    force: Force = False,
) -> None:
    """Fit the free parameters to rows A and D of 2002.

    docs/validation.md describes the procedure. pipeline/studies/calibration.toml lists the free parameters
    with their bounds, start values and reasons. In the shipped profile, the source of each fitted cost
    names the search that produced it.
    """
    from pipeline.io.outputs import check_output_directory
    from pipeline.studies.calibration import calibrate as fit

    check_output_directory(output, force=force)
    result = fit(
        output, evaluations=evaluations, step=step, seed=seed, seeds=seeds, workers=workers, resume=resume
    )
    typer.echo(result.text(), nl=False)
