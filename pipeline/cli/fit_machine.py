"""`pipeline fit-machine`: measure the costs of a machine from a recording of the kernel's pool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force, PoolRecording, TscGhz


def fit_machine(
    recording: PoolRecording,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Machine profile to write (.toml).", show_default=False
        ),
    ],
    base: Annotated[
        str,
        typer.Option(
            "--base", metavar="PROFILE", help="Machine profile for the costs that cannot be measured."
        ),
    ] = "smp4-2002",
    tsc_ghz: TscGhz = None,
    force: Force = False,
) -> None:
    """Measure machine costs from a recording.

    The command writes a machine profile. It measures the hold time of a hit and of a miss, the scan cost per
    slot examined and per slot freed, and the flush. If the recording contains scheduler events, it also
    measures the context switch and the wake-up. Each measured cost has its sample size and spread. All other
    costs are copied from --base and listed.
    """
    from pipeline.importing.kmap_pool.recordings import recording_path
    from pipeline.io.outputs import choose_output
    from pipeline.studies.conformance.machine_fit import fit_machine as fitted

    choose_output(output, ("toml",), force=force)
    fit = fitted(recording_path(recording), base=base, tsc_ghz=tsc_ghz)
    fit.write(output)
    typer.echo(fit.text(), nl=False)
    typer.echo(
        f"{output}: {len(fit.measured)} costs measured from {fit.recording.name}, "
        f"{len(fit.inherited)} copied from {fit.base.name}"
    )
