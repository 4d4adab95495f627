"""`pipeline generate`: generate a synthetic trace from a workload."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force


def generate(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD",
            help="A workload (see `pipeline workloads`) or a .toml file.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Trace to write (.parquet).")
    ],
    operations: Annotated[
        int | None,
        typer.Option(
            "--ops", metavar="N", help="Number of operations to generate (default: the workload's)."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Seed of all random draws (default: the workload's)."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="Override a value of the workload, for example tasks=96 or page_sets.page_cache.skew=1.2; "
            "may be repeated.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Generate a synthetic trace from a workload.

    The same workload and seed always give the same trace.
    """
    from pipeline.io.key_values import key_values
    from pipeline.io.outputs import choose_output
    from pipeline.workload.generate import generate as generate_trace
    from pipeline.workload.overrides import override_workload

    choose_output(output, ("parquet",), force=force)
    with override_workload(spec, key_values(settings or [], "--set")) as path:
        made = generate_trace(path, output, operations=operations, seed=seed)
    typer.echo(
        f"{made.path}: {made.rows:,} operations of {made.tasks:,} tasks in {made.processes:,} processes on "
        f"pages 0 to {made.pages - 1:,}, over {made.span_ns / 1e9:,.3f} s"
    )
    typer.echo(f"workload {made.name} (sha256 {made.spec_sha256[:12]}), seed {made.seed}")
