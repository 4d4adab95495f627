"""`pipeline sql`: ask runs a question in SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
        str,
        typer.Option(
            "--format",
            help="table; csv, json or parquet at full precision; lockmeter, lock_stat: of these queries.",
        ),
    ] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of standard output.")
    ] = None,
) -> None:
    """Answer a SQL query over the event logs and totals of runs, over recordings and measured locks.

    Without a query: an interactive shell at a terminal, else the script that standard input is.
    """
    import sys

    from pipeline.sql.output import check_format, format_frame, write_frame
    from pipeline.sql.query import parse_settings
    from pipeline.sql.query import sql as answer

    places, params = runs or [Path("runs")], parse_settings(set_ or [])
    if query is None and file is None and name is None:
        if sys.stdin.isatty() and output is None:
            from pipeline.shell.prompt import run_prompt

            run_prompt(places, form, params)
            return
        if not sys.stdin.isatty() and (script := sys.stdin.read()).strip():
            from pipeline.shell.shell import run_script

            run_script(places, script, lambda text: typer.echo(text, nl=False), form, params, output)
            return
    check_format(form, output)
    frame = answer(places, query, file=file, name=name, params=params)
    if output is not None:
        write_frame(frame, form, output)
    else:
        typer.echo(format_frame(frame, form), nl=False)
