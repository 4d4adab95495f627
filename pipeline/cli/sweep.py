"""`pipeline sweep`: simulate all combinations of settings, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli._command import Command, GroupWithDefault, Workers

_DEFAULT = "run"


class _Sweep(GroupWithDefault):
    default = _DEFAULT


sweep = typer.Typer(rich_markup_mode=None, cls=_Sweep, no_args_is_help=True)

_Directory = Annotated[Path, typer.Argument(metavar="SWEEP", help="Directory of a sweep.")]
_Key = Annotated[str, typer.Argument(metavar="KEY", help="Key of a run, or a unique prefix of it.")]


@sweep.callback()
def describe() -> None:
    """Simulate all combinations of settings, each once.

    `pipeline sweep GRID.toml -o DIR` and `pipeline sweep TRACE -a DESIGNS -m MACHINES -o DIR` are short for
    `pipeline sweep run ...`. Repeat the command to simulate only the missing runs.
    """


@sweep.command(_DEFAULT, cls=Command)
def run(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="GRID.toml|TRACE",
            help="A grid file, or traces: .parquet files, shipped recordings, or workloads (names or .toml "
            "files).",
        ),
    ],
    allocators: Annotated[
        list[str] | None,
        typer.Option(
            "--allocator",
            "-a",
            metavar="NAMES",
            help="Designs, separated by commas, each as for `pipeline replay`.",
        ),
    ] = None,
    machines: Annotated[
        list[str] | None,
        typer.Option("--machine", "-m", metavar="PROFILES", help="Machine profiles, separated by commas."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUES",
            help="Values of a design option, separated by commas or as a range; "
            "global_pool.slots=128..4096 doubles the value. May be repeated.",
        ),
    ] = None,
    costs: Annotated[
        list[str] | None,
        typer.Option(
            "--cost",
            metavar="NAME=VALUES",
            help="Values that override a cost of the machine profiles; may be repeated.",
        ),
    ] = None,
    workload: Annotated[
        list[str] | None,
        typer.Option(
            "--workload",
            "-w",
            metavar="KEY=VALUES",
            help="Values that override a value of the workloads; may be repeated.",
        ),
    ] = None,
    operations: Annotated[
        list[str] | None,
        typer.Option(
            "--ops", metavar="N,N...", help="Numbers of operations to generate (default: the workload's)."
        ),
    ] = None,
    cpus: Annotated[
        list[str] | None,
        typer.Option(
            "--cpus",
            metavar="N,N...",
            help="Numbers of CPUs (default: the profile's); 1..64 doubles the number.",
        ),
    ] = None,
    lowmem: Annotated[
        list[str] | None,
        typer.Option(
            "--lowmem",
            metavar="KINDS",
            help="Kinds of operation with pages in low memory, for example none,page_fault+other.",
        ),
    ] = None,
    loop: Annotated[
        list[str] | None, typer.Option("--loop", metavar="LOOPS", help="closed, timed, or closed,timed.")
    ] = None,
    jitter: Annotated[
        list[str] | None,
        typer.Option(
            "--jitter", metavar="P%", help="Scale each think and wait time at random, by up to P %."
        ),
    ] = None,
    replications: Annotated[
        int | None,
        typer.Option(
            "--replications",
            metavar="N",
            help="Number of runs of each combination, each with its own seed.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Seed of the first replication (default: 0)."),
    ] = None,
    events: Annotated[
        Literal["full", "stretches", "none"] | None,
        typer.Option("--events", help="Log to keep of each run, as for `pipeline replay` (default: none)."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory of the sweep.")
    ] = Path("sweep"),
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Also write the grid to this .toml file."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Allow --save to overwrite an existing file.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the number of missing runs and the estimated time, then exit."),
    ] = False,
    only: Annotated[
        Literal["failed"] | None, typer.Option("--only", help="Repeat only the failed runs.")
    ] = None,
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="Simulate only the I-th of N parts of the runs.")
    ] = "1/1",
    workers: Workers = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="ADDRESS",
            help="Simulate on workers of a dask.distributed scheduler, for example tcp://HOST:8786.",
        ),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", metavar="N", help="Reject a grid with more runs than this.")
    ] = 100_000,
    attempts: Annotated[
        int,
        typer.Option(
            "--attempts",
            metavar="N",
            min=1,
            help="Give up on a run after it has crashed this many worker processes.",
        ),
    ] = 3,
    compile: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile", help="Compile the simulator, or run it as plain Python for debugging."
        ),
    ] = True,
) -> None:
    """Simulate the missing runs of a grid.

    Options that name a factor of the grid file replace it. Exit status 3 means that some runs failed, and 5
    that some ended with a finding. The other runs are completed in both cases.
    """
    from pipeline.io.outputs import choose_output
    from pipeline.sweeps.command import dry_run_text, grid_of_words, holds_grid, parse_shard, save_grid

    grid = grid_of_words(
        what,
        {
            "allocator": allocators, "machine": machines, "cpus": cpus, "operations": operations,
            "lowmem": lowmem, "loop": loop, "jitter": jitter,
        },
        {"options": ("--set", options), "costs": ("--cost", costs), "workload": ("--workload", workload)},
        {"replications": replications, "seed": seed, "events": events},
    )  # fmt: skip
    part = parse_shard(shard)
    if save is not None:
        if not holds_grid(save, grid):
            choose_output(save, ("toml",), force=force)
        save_grid(grid, save)
    if dry_run:
        typer.echo(dry_run_text(grid, output, part, most, workers), nl=False)
        return

    from pipeline.sweeps.console import sweep_and_tell
    from pipeline.sweeps.sweep import Means

    sweep_and_tell(
        grid, output, means=Means(workers, on, attempts, compile), only_failed=only == "failed", shard=part,
        most=most,
    )  # fmt: skip


@sweep.command(cls=Command)
def status(
    directory: _Directory,
    everything: Annotated[bool, typer.Option("--all", help="Print a line for each run.")] = False,
) -> None:
    """Print the progress of a running or finished sweep."""
    from pipeline.sweeps.status import read_status

    found = read_status(directory)
    typer.echo(found.lines() if everything else found.text(), nl=False)


@sweep.command(cls=Command)
def explain(directory: _Directory, key: _Key) -> None:
    """Print the settings and the outcome of one run."""
    from pipeline.sweeps.status import explain_run

    typer.echo(explain_run(directory, key), nl=False)


@sweep.command(cls=Command)
def rerun(directory: _Directory, key: _Key) -> None:
    """Repeat one run.

    A failed run is replaced. A finished run is repeated to compare the fingerprints.
    """
    from pipeline.sweeps.rerun import make_again

    typer.echo(make_again(directory, key))
