"""The tables of the log as SQL over their files, which reconstructs columns stored in fewer bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.runs.store import Run
from pipeline.schema.log import LogColumn, LogTable
from pipeline.sql.quoting import literal

_DUCKDB_TYPES = {
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.int16(): "SMALLINT",
    pa.int8(): "TINYINT",
}


ReadFiles = Callable[[Sequence[Path]], str]
"""Writes what stands after FROM to read the rows of Parquet files, such as `parquet_files` does."""


def parquet_files(files: Sequence[Path], place: Callable[[Path], str] = str) -> str:
    """Read files by path; `place` converts a path for DuckDB."""
    return f"read_parquet([{', '.join(literal(_without_wildcards(place(file))) for file in files)}])"


def log_select(
    table: LogTable, runs: Sequence[Run], read: ReadFiles = parquet_files, recorded: bool = False
) -> str:
    """Make the SELECT of a table's rows, -1 turned to NULL, over the files of every run that has a log.

    With `recorded`, what recordings have is added.
    """
    parts = [part for found in runs for part in _of_run(table, found, read)]
    if recorded:
        parts.append(f"SELECT * FROM {recorded_table(table.name)}")
    if not parts:
        empty = ", ".join(map(_absent, table.columns))
        return f"SELECT CAST(NULL AS run_name) AS run, {empty} WHERE false"
    return " UNION ALL ".join(parts)


def _of_run(table: LogTable, found: Run, read: ReadFiles) -> list[str]:
    """One SELECT for each kind of file."""
    version, areas = found.manifest.format_version, found.manifest.allocator.areas
    parts = []
    for name, column_sql in ((table.name, _as_stored), (f"wide_{table.name}", _as_it_is)):
        files = [found.directory / file for file in found.manifest.log_files.get(name, [])]
        columns = (
            _absent(column, column.before) if column.since > version or (column.areas and not areas)
            else _as_it_is(column) if version == 1
            else column_sql(column) if not (areas and column.open)
            else _with_null(column, column_sql(column))
            for column in table.columns
        )  # fmt: skip
        if files:
            parts.append(files_select(found, columns, files, read))
    return parts


def files_select(found: Run, columns: Iterable[str], files: Sequence[Path], read: ReadFiles) -> str:
    """Make the SELECT of columns from files of a run; its name is a constant, which costs nothing per row."""
    return f"SELECT CAST({literal(found.name)} AS run_name) AS run, {', '.join(columns)} FROM {read(files)}"


def _as_stored(column: LogColumn) -> str:
    """Return the expression that reconstructs a column from the table's file."""
    name, stored = column.stored_name, column.stored
    value = " + ".join([*stored.plus, f"nullif({name}, -1)" if column.none else name])
    value = " - ".join([value, *stored.minus])
    if column.type != stored.type:
        value = f"CAST({value} AS {_DUCKDB_TYPES[column.type]})"
    return f"{value} AS {column.name}"


def _with_null(column: LogColumn, sql: str) -> str:
    """Return the expression of an open column, in which -1 becomes NULL."""
    value = sql.removesuffix(f" AS {column.name}")
    return f"nullif({value}, -1) AS {column.name}"


def _as_it_is(column: LogColumn) -> str:
    return f"nullif({column.name}, -1) AS {column.name}" if column.none else column.name


def _absent(column: LogColumn, instead: str = "NULL") -> str:
    return f"CAST({instead} AS {_DUCKDB_TYPES.get(column.type, 'VARCHAR')}) AS {column.name}"


def recorded_table(table: str) -> str:
    """Return the name of the table with recordings' rows of a table of the log."""
    return f"recorded_{table}"


def _without_wildcards(path: str) -> str:
    """Write a path so that DuckDB's file globbing takes it literally."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)
