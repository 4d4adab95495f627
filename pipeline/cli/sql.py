"""`pipeline sql`: ask runs a question in SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force

# Rows of a table that is printed, but not at a terminal, unless more are asked for.
_MOST_ROWS = 1_000
# Lines of the window that are no rows: the head, the next prompt, and what is said of the rest.
_LINES_BESIDE = 5


def sql(
    query: Annotated[str | None, typer.Argument(help="SQL text, such as 'FROM runs'.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A .sql file.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="A query of the library; see 'pipeline queries'.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="NAME=VALUE", help="Set a parameter; may be repeated."),
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--runs",
            "-r",
            help="Run directory, directory of runs, a recording of the kernel's pool (a .kmap.parquet file "
            "or a shipped one's name: wrap16, kcsleep2), or a file of measured locks (perf lock contention, "
            "/proc/lock_stat ...); may be repeated; default: runs.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="table; csv, json or parquet at full precision; lockmeter, lock_stat: of these queries. "
            "Default: by the ending of --output, else table.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="File to write; - is standard output, as without it."
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            metavar="N|all",
            help="Most rows of each answer. Default: of a table that is printed, what fits the window, or "
            f"{_MOST_ROWS:,} where there is none; else all.",
        ),
    ] = None,
    force: Force = False,
    safe: Annotated[
        bool,
        typer.Option(
            "--safe",
            help="For queries that are not trusted: they read these runs, no other file, and write nothing.",
        ),
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option("--memory", metavar="SIZE", help="Memory that a query may take, such as 500MB."),
    ] = None,
) -> None:
    """Answer SQL over the event logs and totals of runs, over recordings and measured locks.

    Several statements are answered one after another. Without any: an interactive shell at a terminal, else
    the script that standard input is.
    """
    import sys

    from pipeline.errors import UsageError
    from pipeline.io.files import STDOUT
    from pipeline.io.outputs import choose_output
    from pipeline.sql.connection import set_memory
    from pipeline.sql.output import FORMATS, check_format
    from pipeline.sql.query import parse_settings

    set_memory(memory)
    if form is not None:
        check_format(form, output)
    if output is not None:
        form = choose_output(output, FORMATS, form, force=force, stdout=True)
    elif force:
        raise UsageError("--force is for a file, and none is given with -o")
    text_file = None if output == STDOUT and form != "parquet" else output
    places, params = runs or [Path("runs")], parse_settings(set_ or [])
    if query is None and file is None and name is None:
        if sys.stdin.isatty() and output is None:
            from pipeline.shell.prompt import run_prompt

            run_prompt(places, form, params, safe)
            return
        if not sys.stdin.isatty() and (script := sys.stdin.read()).strip():
            from pipeline.shell.shell import run_script

            if rows is not None:
                raise UsageError("--rows is for a query; in a script, .rows N does it")
            run_script(places, script, _write, form, params, text_file, _note, safe)
            return

    from pipeline.sql.kept_logs import note_missing_logs
    from pipeline.sql.output import format_frame, write_frame
    from pipeline.sql.query import answers, choose_query
    from pipeline.sql.session import open_session
    from pipeline.sql.statements import is_question, split_statements

    chosen = choose_query(query, file, name)
    asked = sum(map(is_question, split_statements(chosen.body)))
    if text_file is not None and asked > 1:
        raise UsageError(f"{text_file}: wanted one question whose answer is written, found {asked}")
    form = form or FORMATS[0]
    most = _most_rows(rows, form if text_file is None else "")
    with open_session(places, recordings=True, statement=chosen.body, safe=safe) as session:
        if note := note_missing_logs(session, chosen.body):
            _note(f"{note}\n")
        for frame in answers(session, chosen, params, None if most is None else most + 1):
            shown = frame if most is None else frame.head(most)
            if text_file is None:
                _write(format_frame(shown, form))
            else:
                write_frame(shown, form, text_file)
            if frame.height > shown.height and rows is None:
                _note(f"only the first {most:,} rows; --rows all prints all, -o FILE writes all\n")


def _most_rows(rows: str | None, form: str) -> int | None:
    """Most rows of an answer; None for all. `form` is how it is printed, "" if it is not."""
    import shutil
    import sys

    from pipeline.errors import UsageError
    from pipeline.io.numbers import plain_number

    if rows is None:
        lines = shutil.get_terminal_size().lines - _LINES_BESIDE if sys.stdout.isatty() else _MOST_ROWS
        return max(lines, 1) if form == "table" else None
    if rows == "all":
        return None
    if not plain_number(rows).isdecimal() or int(plain_number(rows)) < 1:
        raise UsageError(f"--rows wants a whole number from 1, or all; found '{rows}'")
    return int(plain_number(rows))


def _write(text: str) -> None:
    typer.echo(text, nl=False)


def _note(text: str) -> None:
    typer.echo(f"pipeline: {text}", nl=False, err=True)
