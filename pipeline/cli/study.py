"""`pipeline study`: run studies and print their verdicts."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from pipeline.cli._command import Command, Force, Workers
from pipeline.cli.validate import validate
from pipeline.cli.verify import verify

if TYPE_CHECKING:
    from pipeline.studies.answer import Answer


class _Studies(TyperGroup):
    """A group that treats an argument that is not a command as the name of a study."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command, or the one that runs studies if the first argument is not a command."""
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return _RUN, self.commands[_RUN], args

    def list_commands(self, ctx: Any) -> list[str]:
        """Return all commands except the hidden one that runs studies."""
        return [name for name in super().list_commands(ctx) if name != _RUN]


_RUN = "NAME"

study = typer.Typer(rich_markup_mode=None, cls=_Studies, subcommand_metavar="[NAME]... [OPTIONS]")


@study.callback(invoke_without_command=True)
def list_studies(context: typer.Context) -> None:
    """Test claims about designs by replay.

    Give the names of shipped studies or collections (such as `claims`), or the paths of your own studies.
    Without a name, the command lists the shipped studies. For the options, see `pipeline study NAME --help`.
    """
    if context.invoked_subcommand is not None:
        return
    from pipeline.io.tables import align_columns
    from pipeline.studies.catalogue import collections, find_studies, shipped_studies

    for collection in ["", *collections()]:
        chosen = [s for s in find_studies(list(shipped_studies())) if s.collection == collection]
        if chosen:
            typer.echo(f"{collection or 'single studies'}:")
            rows = [
                (some.name, f"{', '.join(some.about)}: {some.claim}" if some.about else some.claim)
                for some in sorted(chosen, key=lambda s: (s.label, *s.about[:1], s.name))
            ]
            typer.echo(align_columns(rows, indent="  "), nl=False)
    typer.echo("commands: kernel, lockmeter, matrix; see 'pipeline study COMMAND --help'")


def run_studies(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY", help="Names of studies or collections, or files of your own studies."
        ),
    ],
    form: Annotated[Literal["text", "md", "json"], typer.Option("--format", help="Output format.")] = "text",
    document: Annotated[
        Path | None,
        typer.Option(
            "--document",
            metavar="FILE",
            help="Write the answers to this Markdown file, and pictures to its directory.",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="DIR",
            help="Keep the runs in this directory, as a sweep, for example for `pipeline sql`.",
        ),
    ] = None,
    replications: Annotated[
        int | None,
        typer.Option(
            "--replications",
            "-n",
            metavar="N",
            min=1,
            help="Number of replications of each setting (default: the study's).",
        ),
    ] = None,
    workers: Workers = None,
    force: Force = False,
) -> None:
    """Run studies and print the verdict of each.

    A claim holds, does not hold, depends on the setting, or cannot be decided. The exit status is 5 if the
    written opinion of a study was made for another outcome. Otherwise it does not depend on the verdicts.
    """
    from pipeline.errors import FindingError
    from pipeline.io.outputs import choose_output
    from pipeline.studies.catalogue import collections, find_studies
    from pipeline.studies.document import render_document, write_document
    from pipeline.studies.measure import answer_studies
    from pipeline.studies.pages import render_json, render_text

    studies = find_studies(names)
    if document is not None:
        choose_output(document, ("md",), force=force)
    collection = names[0] if len(names) == 1 and names[0] in collections() else ""
    answers = answer_studies(studies, keep, replications, workers)
    if document is not None:
        typer.echo(str(write_document(document, answers, collection)))
    elif form == "md":
        typer.echo(render_document(answers, collection), nl=False)
    elif form == "json":
        typer.echo(render_json(answers), nl=False)
    else:
        typer.echo("\n".join(render_text(answer) for answer in answers), nl=False)
    if _say_stale(answers):
        raise typer.Exit(FindingError.exit_status)


def _say_stale(answers: Sequence[Answer]) -> bool:
    """List on stderr the studies whose opinion was written for another outcome; return True if any."""
    stale = [answer for answer in answers if answer.stale]
    for answer in stale:
        typer.echo(f"{answer.study.name}: {answer.opinion}", err=True)
    return bool(stale)


def matrix(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DESIGN", help="Designs to compare, in addition to the bounds (default: all for kmap)."
        ),
    ] = None,
    document: Annotated[
        Path | None,
        typer.Option(
            "--document",
            metavar="FILE",
            help="Write tables and judgements to this Markdown file, as in docs/designs.md.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write charts as an HTML page.")
    ] = None,
    operations: Annotated[
        int,
        typer.Option("--ops", metavar="N", help="Number of operations per CPU in synthetic traces."),
    ] = 3_000,
    cpus: Annotated[
        str, typer.Option("--cpus", metavar="N,N...", help="Numbers of CPUs, separated by commas.")
    ] = "1,4,16,64",
    machines: Annotated[
        list[str] | None,
        typer.Option(
            "--machine",
            "-m",
            metavar="PROFILE",
            help="Machine profile; may be repeated (default: one of 2002 and a current one).",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Compare the designs for kmap on three traces.

    The comparison takes a minute or two and checks the published judgements on the designs. The exit status
    is 5 if a design violates a bound without a documented reason, or if a judgement does not fit the results.
    """
    from pipeline.errors import FindingError, UsageError
    from pipeline.io.outputs import choose_output
    from pipeline.studies.matrix.designs_page import compare_allocators, write_designs
    from pipeline.studies.matrix.grid import MACHINES

    try:
        counts = [int(count) for count in cpus.split(",")]
    except ValueError:
        raise UsageError(f"--cpus must be numbers separated by commas, found '{cpus}'") from None
    for path, form in ((document, "md"), (report, "html")):
        if path is not None:
            choose_output(path, (form,), force=force)
    judged = document is not None or report is None
    with compare_allocators(
        names or [], machines or MACHINES, counts, operations, judged=judged
    ) as comparison:
        if document is not None:
            typer.echo(str(write_designs(document, comparison)))
        if report is not None:
            from pipeline.studies.matrix.chart_page import write_report

            command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
            typer.echo(str(write_report(report, comparison, command)))
        if document is None and report is None:
            typer.echo(comparison.text(), nl=False)
    stale = _say_stale(comparison.answers)
    if stale or not all(breach.explained for breach in comparison.outside):
        raise typer.Exit(FindingError.exit_status)


study.command(_RUN, cls=Command, hidden=True)(run_studies)
study.command("matrix", cls=Command)(matrix)
study.command("kernel", cls=Command)(verify)
study.command("lockmeter", cls=Command)(validate)
