"""`pipeline study lockmeter`: the model beside the lockmeter rows of 2002, or beside rows of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force


def validate(
    rows: Annotated[
        Path | None,
        typer.Option(
            "--row",
            metavar="FILE",
            help="Lockmeter rows (CSV, the columns of the shipped rows) to predict; without it, rows A and D "
            "of 2002, on which the model was calibrated.",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", help="Simulate with seeds 0 to N-1; means count.")
    ] = 5,
    machine: Annotated[
        str, typer.Option("--machine", "-m", metavar="PROFILE", help="A machine or a .toml file.")
    ] = "numaq16",
    workload: Annotated[
        str, typer.Option("--workload", "-w", metavar="SPEC", help="A workload or a .toml file.")
    ] = "kernel_build",
    document: Annotated[
        Path | None,
        typer.Option(
            "--document",
            metavar="FILE",
            help="Make every check instead - kernel, theory, history - and write docs/validation.md here.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Print what the simulated machine says beside what lockmeter measured, with the ratio of each figure.

    Nothing is fitted: a row's pool size, series, page tables, CPUs and acquisitions are all that is taken
    from it. Figures outside the goal are reported, not hidden; the exit status tells only whether it ran.
    """
    from pipeline.errors import UsageError

    if document is not None:
        from pipeline.io.outputs import choose_output
        from pipeline.studies.validation_page import write_validation

        if rows is not None:
            raise UsageError("--document writes the whole validation; leave out --row")
        choose_output(document, ("md",), force=force)
        typer.echo(str(write_validation(document)))
        return
    from dataclasses import replace

    from pipeline.studies.lockmeter.comparison import compare_all
    from pipeline.studies.lockmeter.lockmeter_data import ROWS_OF_2002, read_rows
    from pipeline.studies.lockmeter.prediction import MODEL

    found = read_rows(rows or ROWS_OF_2002)
    model = replace(MODEL, machine=machine, workload=workload)
    for comparison in compare_all([(row, model) for row in found], seeds):
        typer.echo(comparison.text())
