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
    if name is not None:
        from pipeline.workload.read_spec import workload_path

        typer.echo(workload_path(name).read_text(encoding="utf-8"), nl=False)
        return
    import tomllib

    from pipeline.io.resources import shipped_files
    from pipeline.io.tables import align_columns

    # What is shipped was checked: reading it as `read_workload` does would load the schema of traces.
    shipped = shipped_files("traces", ".toml")
    rows = [(known, tomllib.loads(path.read_text("utf-8"))["description"]) for known, path in shipped.items()]
    typer.echo(align_columns(rows), nl=False)
