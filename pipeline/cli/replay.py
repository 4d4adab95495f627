"""`pipeline replay`: replay a trace with a design on a simulated machine."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli._command import Costs, Cpus, Machine, Operations

if TYPE_CHECKING:
    from pipeline.runs.finished import RunResult
    from pipeline.runs.plan import Plan


def replay(
    trace: Annotated[
        str,
        typer.Argument(
            metavar="TRACE",
            help="A trace (.parquet), the name of a shipped recording (local, kcsleep2), or a workload (name "
            "or .toml file). The trace of a workload is generated and kept with the runs.",
        ),
    ],
    allocators: Annotated[
        list[str],
        typer.Option(
            "--allocator",
            "-a",
            metavar="NAME",
            help="A design (see `pipeline allocators`) or a .py file, or one design per kind of operation: "
            "page_fault=atomic,default=global_pool. May be repeated to compare designs side by side.",
        ),
    ],
    machine: Machine,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="Set an option of the design; may be repeated. With several designs, it applies to each "
            "design that has the option; global_pool.slots=512 applies to one.",
        ),
    ] = None,
    operations: Operations = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="TEXT", help="Name of the run in reports (default: the design's)."),
    ] = None,
    cpus: Cpus = None,
    costs: Costs = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            metavar="N",
            help="Seed of random events: hand-over of unfair locks (numaq16, opteron8-2008, smp4-2002, "
            "smp8-2002), device interrupts (numaq16) and --jitter. Without these, every seed gives the "
            "same run.",
        ),
    ] = 0,
    jitter: Annotated[
        str,
        typer.Option(
            "--jitter",
            metavar="P%",
            help="Scale each think and wait time at random, by up to P %. The factors depend on "
            "--seed and are the same for every design.",
        ),
    ] = "0%",
    loop: Annotated[
        Literal["closed", "timed"],
        typer.Option(
            "--loop",
            help="closed: each operation follows its task's previous one, so delays propagate; timed: each "
            "operation starts at its recorded time, or later if its task is late.",
        ),
    ] = "closed",
    events: Annotated[
        Literal["full", "stretches", "none"],
        typer.Option(
            "--events",
            help="full: keep the event log; stretches: also record each CPU's activity over time; none: keep "
            "only totals.",
        ),
    ] = "full",
    lowmem: Annotated[
        list[str] | None,
        typer.Option(
            "--lowmem",
            metavar="KIND",
            help="Treat pages of operations of this kind as low memory, which needs no mapping; may be "
            "repeated.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory in which to put the run.")
    ] = Path("runs"),
    compile: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile", help="Compile the simulator, or run it as plain Python for debugging."
        ),
    ] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Simulate again even if the run exists.")] = False,
    minimize: Annotated[
        bool,
        typer.Option(
            "--minimize",
            help="If the run ends with a finding, search for the shortest prefix of the trace that "
            "reproduces it, and keep that prefix with the run.",
        ),
    ] = False,
) -> None:
    """Replay a trace with one or more designs.

    The command simulates each design on the machine and prints the directory of each run. Exit status 5
    means that a run ended with a finding, such as a deadlock; the run is kept. With --minimize, the command
    also prints the path of the shortest trace that reproduces the first finding.
    """
    from pipeline.errors import FindingError, UsageError
    from pipeline.io.key_values import key_integers, key_values, parse_percent
    from pipeline.runs.finished import find_finished
    from pipeline.runs.options import note_idle_options, options_of_each, parse_designs
    from pipeline.runs.plan import RunConfig, make_plan
    from pipeline.runs.side_by_side import side_by_side
    from pipeline.runs.store import set_label
    from pipeline.runs.summary import finding_lines, summary
    from pipeline.sweeps.trace_source import find_trace

    designs = list(dict.fromkeys(parse_designs(allocators)))
    if len(designs) > 1 and (label is not None or minimize):
        raise UsageError(
            f"{'--minimize' if minimize else '--label'} requires exactly one design, found {len(designs)}"
        )
    given = options_of_each(designs, key_values(options or [], "--set"))
    path = find_trace(trace, operations, output)
    runs = []
    for design, own in zip(designs, given, strict=True):
        config = RunConfig(
            trace=path,
            allocator=design,
            machine=machine,
            options=own,
            cpus=cpus,
            costs=key_integers(costs or [], "--cost"),
            seed=seed,
            jitter_percent=parse_percent(jitter, "--jitter"),
            loop=loop,
            events=events,
            lowmem=lowmem or (),
            output=output,
            command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) if len(designs) == 1 else None,
            compiled=compile,
            fresh=fresh,
        )
        plan = make_plan(config)
        for note in note_idle_options(plan.allocator, plan.options, own, plan.profile.cpus):
            typer.echo(f"pipeline: {note}", err=True)
        run = find_finished(plan) or _make(plan)
        if label is not None:
            run = replace(run, manifest=set_label(run.path, label))
        runs.append(run)
        typer.echo(summary(run.manifest, run.cached, run.path), err=True)
        typer.echo(str(run.path))
    if len(runs) > 1:
        typer.echo(side_by_side(runs, _bar()), err=True, nl=False)
    if minimize:
        from pipeline.runs.minimize import minimal_lines
        from pipeline.runs.minimize import minimize as find_minimal

        minimal = find_minimal(run, config, lambda line: typer.echo(line, err=True))
        typer.echo(minimal_lines(minimal) if minimal else "the run has no finding to minimise", err=True)
        if minimal:
            typer.echo(str(minimal.path))
    if found := [line for run in runs for line in finding_lines(run.manifest)]:
        raise FindingError("\n".join(found))


def _make(plan: Plan) -> RunResult:
    # Importing the simulator takes longer than finding an existing run.
    from pipeline.runs.execute import execute_plan

    return execute_plan(plan)


def _bar() -> str:
    """Return the character for bars: a block if the terminal's encoding has it, else #."""
    try:
        "█".encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"
