"""`pipeline fit-machine`: measure a machine's prices from a recording of the kernel's pool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force


def fit_machine(
    recording: Annotated[
        str,
        typer.Argument(
            metavar="RECORDING",
            help="Raw events of the kernel's pool (.kmap.parquet or tracefs text), or a shipped one's name: "
            "wrap16, kcsleep2.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The profile to write (.toml).", show_default=False
        ),
    ],
    base: Annotated[
        str,
        typer.Option(
            "--base", metavar="PROFILE", help="Where prices come from that the recording does not tell."
        ),
    ] = "smp4-2002",
    tsc_ghz: Annotated[
        float | None,
        typer.Option("--tsc-ghz", min=0.001, help="Rate of the TSC, if text's times count its ticks."),
    ] = None,
    force: Force = False,
) -> None:
    """Write a machine profile with the prices that a recording tells, each with its count and spread.

    Measured are the hold of a hit and of a miss, the scan for each slot looked at and freed, the flush, and,
    where the scheduler was recorded, the switch and the wake-up. What is not, is inherited from another
    profile and named.
    """
    from pipeline.importing.kmap_pool.recordings import recording_path
    from pipeline.io.outputs import choose_output
    from pipeline.studies.conformance.machine_fit import fit_machine as fitted

    choose_output(output, ("toml",), force=force)
    fit = fitted(recording_path(recording), base=base, tsc_ghz=tsc_ghz)
    fit.write(output)
    typer.echo(fit.text(), nl=False)
    typer.echo(
        f"{output}: {len(fit.measured)} costs measured in {fit.recording.name}, "
        f"{len(fit.inherited)} inherited from {fit.base.name}"
    )
