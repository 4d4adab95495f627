"""`pipeline workloads`: list the shipped workload specs, or print one to read or to start from."""

from __future__ import annotations

from typing import Annotated

import typer


def workloads(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKLOAD", help="Print this workload's spec, comments and all.", show_default=False
        ),
    ] = None,
) -> None:
    """List the shipped workloads, or print the spec of one."""
    from pipeline.io.tables import align_columns
    from pipeline.workload.read_spec import read_workload, shipped_workloads, workload_path

    if name is not None:
        typer.echo(workload_path(name).read_text(encoding="utf-8"), nl=False)
        return
    shipped = shipped_workloads()
    rows = [(known, read_workload(known).workload.description) for known in shipped]
    typer.echo(align_columns(rows), nl=False)
