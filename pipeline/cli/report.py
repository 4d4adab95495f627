"""`pipeline report`: write a report that compares runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force, Memory

_STUDY_FORMS = ("html", "md")


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN",
            help="Run directories, directories of runs, and files of lock measurements; or a sweep; or the "
            "names of studies or collections (see `pipeline study`). Default: runs.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="File to write; for png and svg, a directory for the charts (default: report, with the "
            "suffix of the format).",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="html: one page; md: tables, with charts described in text; json: all data and chart "
            "specifications; png, svg: one file per chart. Default: by the suffix of --output, else html.",
        ),
    ] = None,
    item: Annotated[
        str | None,
        typer.Option(
            "--item",
            metavar="ITEM",
            help="Write only this item of the definition, such as flushes-per-second.",
        ),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(
            "--title",
            metavar="TEXT",
            help="Title of the report (default: the question that the runs answer).",
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the report in the default browser.")] = False,
    definition: Annotated[
        str | None,
        typer.Option(
            "--definition",
            "-d",
            metavar="DEFINITION",
            help="Report definition: a shipped name or a .toml file (default: default).",
        ),
    ] = None,
    force: Force = False,
    memory: Memory = None,
) -> None:
    """Write a report that compares runs.

    The report is a self-contained HTML page, a Markdown or JSON file, or a set of pictures.
    """
    from pipeline.errors import UsageError, unknown_name
    from pipeline.io.files import STDOUT
    from pipeline.io.outputs import choose_output
    from pipeline.report.report import FORMATS, PICTURES, default_output
    from pipeline.report.report import report as write
    from pipeline.sql.connection import set_memory

    set_memory(memory)

    if form is not None and form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    place = output or default_output(form, item)
    of_runs = {"--item": item, "--definition": definition, "--title": title}
    studies = _select_studies(runs or [])
    if studies and (given := [name for name, value in of_runs.items() if value is not None]):
        raise UsageError(
            f"{given[0]} applies to reports of runs, but {studies[0]} is a study; omit {given[0]}"
        )
    if studies and form not in (None, *_STUDY_FORMS):
        raise UsageError(
            f"a report of studies must be html or md, found '{form}'; 'pipeline study' can write json"
        )
    if open_ and place == STDOUT:
        raise UsageError("--open requires a file, but -o - is standard output; omit one of them")
    # Several pictures go into a directory, which `write` checks.
    if item is not None or form not in PICTURES:
        forms = _STUDY_FORMS if studies else FORMATS
        form = choose_output(place, forms, form, force=force, stdout=not studies)
    if studies:
        written = _report_studies(studies, place, form, command)
    else:
        written = write(runs or [Path("runs")], place, definition, command, form, item, title)
    if written != STDOUT:
        typer.echo(written)
    if open_:
        import webbrowser

        if not webbrowser.open(written.resolve().as_uri()):
            typer.echo(f"{written}: no browser found to open it", err=True)


def _select_studies(names: list[Path]) -> list[str]:
    """Return the names if all are studies, and [] if all are runs. Raises UsageError for a mixture."""
    if all(name.is_dir() for name in names):
        return []
    from pipeline.errors import UsageError
    from pipeline.studies.catalogue import is_study

    studies = [str(name) for name in names if not name.is_dir() and is_study(str(name))]
    if studies and len(studies) < len(names):
        other = next(str(name) for name in names if str(name) not in studies)
        raise UsageError(
            f"a report contains either runs or studies, found both: {studies[0]} is a study, {other} is not"
        )
    return studies


def _report_studies(names: list[str], place: Path, form: str | None, command: str) -> Path:
    from pipeline.studies.catalogue import collections, find_studies
    from pipeline.studies.document import write_document
    from pipeline.studies.measure import answer_studies
    from pipeline.studies.study_page import write_study_page

    collection = names[0] if len(names) == 1 and names[0] in collections() else ""
    answers = answer_studies(find_studies(names))
    if form == "md":
        return write_document(place, answers, collection)
    return write_study_page(place, answers, collection.capitalize(), command)
