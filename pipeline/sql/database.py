"""A small DuckDB file for any client: the session's tables, views and macros, and every query as a macro.

The file contains the data of manifests and recordings. The views read the logs from the runs' Parquet files,
by absolute path or by a path relative to the database's directory. DuckDB resolves relative paths from the
client's working directory or its setting `file_search_path`.
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

# Clients of DuckDB 1.0 and later open this storage version. The logs' Parquet files still require a client of
# about the same age as this library.
_STORAGE = "v1.0.0"


def write_database(runs: Sequence[Path], output: Path, relative: bool = False) -> int:
    """Write a database over run directories, directories of runs and recordings.

    With `relative`, paths of the runs' Parquet files are relative to the database's directory, so both can be
    moved together. A database written by this function is replaced. Raises OutputError if `output` is any
    other file, and InputError for a path without a run. Returns the number of runs and recordings.
    """
    found, sweeps = find(runs), [path for path in runs if is_sweep(path)]
    library = queries()
    check_no_directory(output)
    _check_replaceable(output, {*VIEWS, *map(recorded_table, LOG_TABLES)})
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # DuckDB keeps a write-ahead log next to the file.
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
    """Write a query of the library as a table macro of the same name, with defaults of the parameters."""
    params = ", ".join(
        f"{p.name} := {literal(p.default) if isinstance(p.default, str) else p.default}" for p in query.params
    )
    # In HAVING and QUALIFY, DuckDB would resolve a bare parameter as a column.
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
            # DuckDB checks views when they are created, so paths must resolve from the database's directory.
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
    """Yield statements that store the documentation of views, columns, macros and queries as comments."""
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
    """Raise OutputError for an existing file that this module did not write."""
    if not path.is_file():
        return
    hint = "choose another name with -o, or remove it first"
    with path.open("rb") as file:
        if file.read(12)[8:] != b"DUCK":
            raise OutputError(f"{path}: exists and is not a DuckDB database; {hint}")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise OutputError(f"{path}: exists and cannot be opened as a database ({reason}); {hint}") from error
    try:
        there = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database()"
        ).fetchall()
    finally:
        connection.close()
    names = {name for (name,) in there}
    if not names or names - ours:
        what = (
            f"has other tables ({', '.join(sorted(names - ours)[:3])})"
            if names
            else "was not written by 'pipeline db'"
        )
        raise OutputError(f"{path}: the existing database {what} and is not replaced; {hint}")
