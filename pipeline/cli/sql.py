"""`pipeline sql`: query runs with SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli._command import Force, Memory

# Default maximum of rows of a table that is printed, but not on a terminal.
_MOST_ROWS = 1_000
# Lines of the window that are not rows: the header, the next prompt, and the note on omitted rows.
_LINES_BESIDE = 5


def sql(
    query: Annotated[str | None, typer.Argument(metavar="SQL", help="SQL text, such as 'FROM runs'.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="Run the query of a .sql file.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", "-n", metavar="NAME", help="Run a query of the library (see `pipeline queries`)."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", metavar="KEY=VALUE", help="Set a parameter of the query; may be repeated."
        ),
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--runs",
            "-r",
            metavar="PATH",
            help="Run directory; directory of runs; recording of the kernel's pool (a .kmap.parquet file or "
            "the name of a shipped recording: wrap16, kcsleep2); or file of lock measurements (perf lock "
            "contention, /proc/lock_stat ...). Default: runs. May be repeated.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="table; csv, json or parquet, at full precision; lockmeter or lock_stat, for the queries of "
            "these names. Default: by the suffix of --output, else table.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="File to write (default: standard output, also -)."
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            metavar="N|all",
            help="Maximum number of rows per answer. Default: for a printed table, the terminal's height "
            f"or {_MOST_ROWS:,} without a terminal; otherwise all.",
        ),
    ] = None,
    force: Force = False,
    safe: Annotated[
        bool,
        typer.Option(
            "--safe",
            help="Run untrusted queries safely: they can read only the given runs and cannot write files.",
        ),
    ] = False,
    memory: Memory = None,
) -> None:
    """Query runs, recordings and lock measurements with SQL.

    Several statements run one after another. Without a query, the command starts an interactive shell on a
    terminal, and otherwise runs the script on standard input.
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
        raise UsageError("--force requires an output file; add -o FILE")
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
                raise UsageError("--rows applies to a query; in a script, use .rows N")
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
        raise UsageError(f"{text_file}: expected one statement that returns rows, found {asked}")
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
                _note(f"only the first {most:,} rows are shown; use --rows all or -o FILE for all rows\n")


def _most_rows(rows: str | None, form: str) -> int | None:
    """Return the maximum number of rows, None for all. `form` is the printed format, "" for a file."""
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
        raise UsageError(f"--rows must be a whole number >= 1, or all; found '{rows}'")
    return int(plain_number(rows))


def _write(text: str) -> None:
    typer.echo(text, nl=False)


def _note(text: str) -> None:
    typer.echo(f"pipeline: {text}", nl=False, err=True)
