"""`pipeline study lockmeter`: compare the model with lockmeter rows, of 2002 or your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force, Machine


def validate(
    rows: Annotated[
        Path | None,
        typer.Option(
            "--row",
            metavar="FILE",
            help="CSV file of lockmeter rows to predict, with the columns of the shipped rows (default: rows "
            "A and D of 2002, with which the model was calibrated).",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", help="Simulate with seeds 0 to N-1 and use means.")
    ] = 5,
    machine: Machine = "numaq16",
    workload: Annotated[
        str,
        typer.Option(
            "--workload",
            "-w",
            metavar="WORKLOAD",
            help="A workload (see `pipeline workloads`) or a .toml file.",
        ),
    ] = "kernel_build",
    document: Annotated[
        Path | None,
        typer.Option(
            "--document",
            metavar="FILE",
            help="Run every check of the validation (kernel, theory, history) and write docs/validation.md "
            "to this file.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Compare the simulation with lockmeter measurements.

    The command prints each simulated and measured figure with their ratio. It takes only the pool size,
    series, page tables, CPUs and acquisitions from a row and fits nothing. The exit status does not depend
    on the ratios.
    """
    from pipeline.errors import UsageError

    if document is not None:
        from pipeline.io.outputs import choose_output
        from pipeline.studies.validation_page import write_validation

        if rows is not None:
            raise UsageError("--document writes the whole validation; omit --row")
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
