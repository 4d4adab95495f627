"""A small DuckDB file for any client: the session's tables, views and macros, and every query as a macro.

What manifests and recordings say is in the file; the views read the logs from the runs' own Parquet files, by
absolute path, or by a path from the database's directory, which DuckDB looks up from where the client was
started or in its setting `file_search_path`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import duckdb

from pipeline.errors import OutputError
from pipeline.io import interrupts
from pipeline.io.files import check_no_directory, no_room, output_error
from pipeline.io.scratch import ScratchDirectory
from pipeline.runs.store import Found, Run, find, is_sweep
from pipeline.schema.log import LOG_TABLES
from pipeline.sql.connection import to_error
from pipeline.sql.library import Query, queries, replace_placeholders
from pipeline.sql.log_tables import recorded_table
from pipeline.sql.macros import MACROS
from pipeline.sql.quoting import literal
from pipeline.sql.session import define_views
from pipeline.sql.views import VIEWS, View

# Clients from DuckDB 1.0 on open this form of file; what a newer library writes by itself, only they do. The
# logs' Parquet files need a client of the same generation as this library all the same.
_STORAGE = "v1.0.0"


def write_database(runs: Sequence[Path], output: Path, relative: bool = False) -> int:
    """Write a database over run directories, directories of runs and recordings, whole or not at all.

    With `relative`, it finds the runs' Parquet files from its own directory, so that both can be moved
    together. A database that this function wrote is replaced; any other file at `output` is left alone and
    raises OutputError. A path without a run raises InputError. Returns how many runs and recordings it has.
    """
    found, sweeps = find(runs), [path for path in runs if is_sweep(path)]
    library = queries()
    check_no_directory(output)
    _check_replaceable(output, {*VIEWS, *map(recorded_table, LOG_TABLES)})
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # Beside the file, DuckDB keeps a log of what it writes.
        with ScratchDirectory(output.parent) as scratch:
            made = Path(scratch) / output.name
            base = output.resolve().parent if relative else None
            _make(made, found, sweeps, list(library.values()), base)
            made.replace(output)
    except OSError as error:
        raise output_error(output, error) from error
    except duckdb.OutOfMemoryException as error:
        raise to_error(error) from error
    except (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException) as error:
        if number := no_room(error):
            raise output_error(output, OSError(number, "")) from error
        reason = str(error).splitlines()[0].replace(str(made), str(output))
        raise OutputError(f"{output}: cannot be written ({reason}); check the free space") from error
    return len(found)


def query_macro(query: Query) -> str:
    """Write a query of the library as a table macro of its name, each parameter with its default."""
    params = ", ".join(
        f"{p.name} := {literal(p.default) if isinstance(p.default, str) else p.default}" for p in query.params
    )
    # In HAVING and QUALIFY, DuckDB would take a bare parameter for a column.
    body = replace_placeholders(query.body, {p.name: f"(SELECT {p.name})" for p in query.params})
    return f"CREATE MACRO {query.name}({params}) AS TABLE {body}"


def _make(
    path: Path,
    runs: Sequence[Found],
    sweeps: Sequence[Path],
    library: Sequence[Query],
    base: Path | None,
) -> None:
    def place(file: Path) -> str:
        return str(file) if base is None else os.path.relpath(file, base)

    connection = duckdb.connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    with closing(connection), interrupts.stopped_by(connection.interrupt):
        connection.execute(f"ATTACH {literal(str(path))} AS made (STORAGE_VERSION '{_STORAGE}')")
        connection.execute("USE made")
        if base is not None:
            # Views are checked when they are made, from the directory that they are to be used in.
            connection.execute(f"SET file_search_path = {literal(str(base))}")
        define_views(connection, runs, place, sweeps=sweeps)
        for query in library:
            connection.execute(query_macro(query))
        if base is not None:
            for found in (found for found in runs if isinstance(found, Run)):
                there = literal(place(found.directory))
                connection.execute(f"UPDATE runs SET directory = {there} WHERE run = {literal(found.name)}")
        for statement in _comments(library):
            connection.execute(statement)
        connection.execute("USE memory")
        connection.execute("DETACH made")


def _comments(library: Sequence[Query]) -> list[str]:
    """Statements that put the documentation of views, columns, macros and queries into the database."""
    said: list[str] = []
    for view in VIEWS.values():
        said.append(_comment("VIEW" if _is_view(view) else "TABLE", view.name, view.doc))
        said += [
            _comment("COLUMN", f"{view.name}.{c.name}", f"{c.doc} ({c.unit})" if c.unit else c.doc)
            for c in view.columns
        ]
    for macro in MACROS.values():
        named = (*macro.parameters, *macro.columns)
        said.append(_comment("MACRO TABLE", macro.name, _document(macro.doc, named)))
    for query in library:
        params = [(f"{p.name} = {p.default}", p.doc) for p in query.params]
        columns = [(c.name, f"{c.doc} ({c.unit})" if c.unit else c.doc) for c in query.columns]
        said.append(_comment("MACRO TABLE", query.name, _document(query.question, [*params, *columns])))
    return said


def _document(doc: str, named: Sequence[tuple[str, str]]) -> str:
    return "\n".join([doc, *(f"{name}: {meaning}" for name, meaning in named)])


def _comment(kind: str, name: str, text: str) -> str:
    return f"COMMENT ON {kind} {name} IS {literal(text)}"


def _is_view(view: View) -> bool:
    return view.sql is not None or view.name in LOG_TABLES


def _check_replaceable(path: Path, ours: set[str]) -> None:
    """Refuse to replace what this module did not write: another file, or a database with other tables."""
    if not path.is_file():
        return
    hint = "choose another name with -o, or remove it first"
    with path.open("rb") as file:
        if file.read(12)[8:] != b"DUCK":
            raise OutputError(f"{path}: the file that is there is no DuckDB database; {hint}")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise OutputError(f"{path}: the database that is there does not open ({reason}); {hint}") from error
    try:
        there = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database()"
        ).fetchall()
    finally:
        connection.close()
    names = {name for (name,) in there}
    if not names or names - ours:
        what = f"has tables of its own ({', '.join(sorted(names - ours)[:3])})" if names else "is another one"
        raise OutputError(f"{path}: the database that is there {what}, so that it is not replaced; {hint}")
