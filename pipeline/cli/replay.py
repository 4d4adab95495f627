"""`pipeline replay`: run a trace through a mapping design on a simulated machine."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from pipeline.runs.finished import RunResult
    from pipeline.runs.plan import Plan


def replay(
    trace: Annotated[
        str,
        typer.Argument(
            metavar="TRACE",
            help="A trace (.parquet), the name of a shipped recording (local, kcsleep2), or a workload by "
            "name or .toml file, of which a trace is made and kept beside the runs.",
        ),
    ],
    allocators: Annotated[
        list[str],
        typer.Option(
            "--allocator",
            "-a",
            metavar="NAME",
            help="A design (see `pipeline allocators`) or a .py file; or several by kind of operation: "
            "page_fault=atomic,default=global_pool. May be repeated: each is replayed, and all are put side "
            "by side.",
        ),
    ],
    machine: Annotated[
        str,
        typer.Option(
            "--machine", "-m", metavar="PROFILE", help="A machine (see `pipeline machines`) or a .toml file."
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="An option of the design; may be repeated. Of several designs: of those that have it, or of "
            "one as global_pool.slots=512.",
        ),
    ] = None,
    operations: Annotated[
        int | None,
        typer.Option("--ops", metavar="N", min=1, help="Operations of a workload; its own number if absent."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="TEXT", help="Name of the run in reports, in place of its design's."),
    ] = None,
    cpus: Annotated[
        int | None, typer.Option("--cpus", metavar="N", help="Number of CPUs; the machine's own if absent.")
    ] = None,
    costs: Annotated[
        list[str] | None,
        typer.Option(
            "--cost", metavar="NAME=VALUE", help="A cost in place of the machine's own; may be repeated."
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            metavar="N",
            help="Seed of what is left to chance: who gets an unfair lock (numaq16, smp4-2002, smp8-2002), "
            "device interrupts (numaq16) and --jitter. Elsewhere every seed gives the same run.",
        ),
    ] = 0,
    jitter: Annotated[
        str,
        typer.Option(
            "--jitter",
            metavar="P%",
            help="Scale each think and wait time of the trace by a random factor within 1 +- P %, the same "
            "for every design: with another --seed, another run of the same trace.",
        ),
    ] = "0%",
    loop: Annotated[
        Literal["closed", "timed"],
        typer.Option(
            "--loop",
            help="closed: an operation follows its task's previous one, so delays propagate; "
            "timed: it starts at its recorded time, or later if the task is late.",
        ),
    ] = "closed",
    events: Annotated[
        Literal["full", "stretches", "none"],
        typer.Option(
            "--events",
            help="Keep the event log (full), with it what each CPU did from when to when (stretches), or "
            "only the totals (none).",
        ),
    ] = "full",
    lowmem: Annotated[
        list[str] | None,
        typer.Option(
            "--lowmem",
            metavar="KIND",
            help="Pages of this kind lie in low memory and need no mapping; may be repeated.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory of runs; the run is put inside.")
    ] = Path("runs"),
    compile: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile", help="Compile the simulator, or run it as plain Python to debug."
        ),
    ] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Simulate again even if the run exists.")] = False,
    minimize: Annotated[
        bool,
        typer.Option(
            "--minimize",
            help="If the run ends with a finding, look for the shortest prefix of the trace that still "
            "does, and keep it beside the run.",
        ),
    ] = False,
) -> None:
    """Replay a trace through one design or several on a machine; prints the directory of each run.

    Exit status 5 means that the run ended with a finding, such as a deadlock; the run is kept. With
    --minimize, the path of the shortest trace that shows the first finding is printed too.
    """
    from pipeline.errors import FindingError, UsageError
    from pipeline.io.key_values import key_integers, key_values, parse_percent
    from pipeline.runs.finished import find_finished
    from pipeline.runs.options import options_of_each, parse_designs
    from pipeline.runs.plan import RunConfig, make_plan
    from pipeline.runs.side_by_side import side_by_side
    from pipeline.runs.store import set_label
    from pipeline.runs.summary import finding_lines, summary
    from pipeline.sweeps.trace_source import find_trace

    designs = list(dict.fromkeys(parse_designs(allocators)))
    if len(designs) > 1 and (label is not None or minimize):
        raise UsageError(f"{'--minimize' if minimize else '--label'} is for one design, found {len(designs)}")
    given, notes = options_of_each(designs, key_values(options or [], "--set"))
    for note in notes:
        typer.echo(f"pipeline: {note}", err=True)
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
        typer.echo(minimal_lines(minimal) if minimal else "no finding, nothing to minimize", err=True)
        if minimal:
            typer.echo(str(minimal.path))
    if found := [line for run in runs for line in finding_lines(run.manifest)]:
        raise FindingError("\n".join(found))


def _make(plan: Plan) -> RunResult:
    # Loading what simulates takes longer than finding a run.
    from pipeline.runs.execute import execute_plan

    return execute_plan(plan)


def _bar() -> str:
    """What bars are made of: a block, if the terminal's encoding has it."""
    try:
        "█".encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"
