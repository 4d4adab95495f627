"""`pipeline workloads`: list and print the shipped workloads."""

from __future__ import annotations

from typing import Annotated

import typer


def workloads(
    name: Annotated[
        str | None,
        typer.Argument(metavar="WORKLOAD", help="Print this workload's .toml file.", show_default=False),
    ] = None,
) -> None:
    """List the shipped workloads, or print one."""
    if name is not None:
        from pipeline.workload.read_spec import workload_path

        typer.echo(workload_path(name).read_text(encoding="utf-8"), nl=False)
        return
    import tomllib

    from pipeline.io.resources import shipped_files
    from pipeline.io.tables import align_columns

    # Shipped files are valid; `read_workload` would import the schema of traces to check them.
    shipped = shipped_files("traces", ".toml")
    rows = [(known, tomllib.loads(path.read_text("utf-8"))["description"]) for known, path in shipped.items()]
    typer.echo(align_columns(rows), nl=False)
