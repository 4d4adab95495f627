"""`pipeline sweep`: many runs, made once and kept by what determines them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli._command import Command, GroupWithDefault

_DEFAULT = "run"


class _Sweep(GroupWithDefault):
    default = _DEFAULT


sweep = typer.Typer(rich_markup_mode=None, cls=_Sweep, no_args_is_help=True)

_Directory = Annotated[Path, typer.Argument(metavar="SWEEP", help="Directory of a sweep.")]
_Key = Annotated[str, typer.Argument(metavar="KEY", help="A run's key, or enough of its beginning.")]
_Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=1, help="Processes; one per CPU if absent.")
]


@sweep.callback()
def describe() -> None:
    """Make many runs, each once, kept by what determines it.

    `pipeline sweep GRID.toml -o DIR` and `pipeline sweep TRACE -a DESIGNS -m MACHINES -o DIR` are short for
    `pipeline sweep run ...`; the same command again makes what is not there yet.
    """


@sweep.command(_DEFAULT, cls=Command)
def run(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="GRID.toml|TRACE...",
            help="A grid; or traces: paths, shipped recordings, workloads by name or path.",
        ),
    ],
    allocators: Annotated[
        list[str] | None,
        typer.Option(
            "--allocator", "-a", metavar="NAMES", help="Designs, with commas between; as for replay."
        ),
    ] = None,
    machines: Annotated[
        list[str] | None,
        typer.Option("--machine", "-m", metavar="PROFILES", help="Machines, with commas between."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUES",
            help="Values of an option of the designs that have it: global_pool.slots=128..4096 doubles.",
        ),
    ] = None,
    costs: Annotated[
        list[str] | None,
        typer.Option("--cost", metavar="NAME=VALUES", help="Values of a cost in place of the machines' own."),
    ] = None,
    workload: Annotated[
        list[str] | None,
        typer.Option("--workload", "-w", metavar="KEY=VALUES", help="Values in place of a workload's own."),
    ] = None,
    operations: Annotated[
        list[str] | None,
        typer.Option("--ops", metavar="N,N...", help="Operations of traces that are generated."),
    ] = None,
    cpus: Annotated[
        list[str] | None, typer.Option("--cpus", metavar="N,N...", help="Numbers of CPUs; 1..64 doubles.")
    ] = None,
    lowmem: Annotated[
        list[str] | None,
        typer.Option("--lowmem", metavar="KINDS", help="Kinds in low memory: none,page_fault+other."),
    ] = None,
    loop: Annotated[
        list[str] | None, typer.Option("--loop", metavar="LOOPS", help="closed, timed, or both.")
    ] = None,
    jitter: Annotated[
        list[str] | None,
        typer.Option("--jitter", metavar="P%", help="Scale think and wait times at random, as for replay."),
    ] = None,
    replications: Annotated[
        int | None,
        typer.Option("--replications", metavar="N", help="Different runs of each combination: other seeds."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Seed of the first replication; 0 if absent.")
    ] = None,
    events: Annotated[
        Literal["full", "stretches", "none"] | None,
        typer.Option("--events", help="What to keep of every run's log, as of replay; none if absent."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory of the sweep.")
    ] = Path("sweep"),
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Write the grid here, as a file; then make its runs."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Let --save overwrite a file that is there.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would run, and how long it would take.")
    ] = False,
    only: Annotated[
        Literal["failed"] | None, typer.Option("--only", help="Make failed runs again, and nothing else.")
    ] = None,
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="Make only the I-th of N parts of the runs.")
    ] = "1/1",
    workers: _Workers = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on", metavar="ADDRESS", help="Make the runs on workers of dask.distributed: tcp://HOST:8786."
        ),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", metavar="N", help="Refuse a grid of more runs than this.")
    ] = 100_000,
    attempts: Annotated[
        int,
        typer.Option("--attempts", metavar="N", min=1, help="Give up a run that ended so many processes."),
    ] = 3,
    compile: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Compile the simulators, or run plain Python.")
    ] = True,
) -> None:
    """Make the runs of a grid that are not there yet; factors given beside a grid replace its own.

    Exit status 3: some runs failed; 5: some ended with a finding. All others are made in both cases.
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
    everything: Annotated[bool, typer.Option("--all", help="A line for each run of the grid.")] = False,
) -> None:
    """Say what is there of a sweep, while it runs or afterwards."""
    from pipeline.sweeps.status import read_status

    found = read_status(directory)
    typer.echo(found.lines() if everything else found.text(), nl=False)


@sweep.command(cls=Command)
def explain(directory: _Directory, key: _Key) -> None:
    """Tell what determines one run, and what happened to it."""
    from pipeline.sweeps.status import explain_run

    typer.echo(explain_run(directory, key), nl=False)


@sweep.command(cls=Command)
def rerun(directory: _Directory, key: _Key) -> None:
    """Make one run again: one that failed for good, one that is done to compare its fingerprint."""
    from pipeline.sweeps.rerun import make_again

    typer.echo(make_again(directory, key))
