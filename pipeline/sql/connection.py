"""The DuckDB connection of a session: limits on memory and access, and error messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import duckdb

from pipeline.errors import InputError, OutOfMemory, OutputError, PipelineError, UsageError
from pipeline.io.memory import memory_limit
from pipeline.sql.views import VIEWS

# A session uses this much memory before it spills to its temporary directory.
_MOST_MB = 2_000
# Share of this process's limit. Copies of results in Arrow and Polars and the libraries need the rest.
_SHARE = 0.25
_LEAST_MB = 100

_chosen: ContextVar[str | None] = ContextVar("memory", default=None)

# Errors of DuckDB for damaged and missing files, among others.
_OF_FILES = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)

# Errors of DuckDB that no data causes.
_OF_STATEMENTS = (
    duckdb.InterruptException,
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.PermissionException,
)

_AMOUNT = re.compile(r"\d+(\.\d+)? ?([KMGT]i?B)", re.IGNORECASE)


class SqlError(UsageError):
    """An error in a statement; `picture` is the line with carets under the position, "" if it is unknown."""

    picture = ""


def connect(memory: str | None, spill: str, safe: bool) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database that spills beyond `memory` ("500MB"; default: `default_memory`).

    A `safe` one is for untrusted queries: see `lock`.
    """
    connection = duckdb.connect(
        config={
            "memory_limit": _chosen.get() or memory or default_memory(),
            # A query can read the directory's name, and write files there.
            "temp_directory": "" if safe else spill,
            # Extensions are never downloaded.
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            # Names in a query never refer to Python variables.
            "python_enable_replacements": "false",
        }
    )
    connection.execute("SET enable_progress_bar = false")
    return connection


def default_memory(most_mb: int = _MOST_MB) -> str:
    """Return the default memory of a session: `most_mb`, or less if the process's limit requires it."""
    limit = memory_limit()
    most = most_mb if limit is None else min(most_mb, int(limit * _SHARE / 1e6))
    return f"{max(_LEAST_MB, most)}MB"


def set_memory(amount: str | None) -> None:
    """Set the memory of every session of this process, such as 500MB; None: the default.

    Raises UsageError for an invalid amount.
    """
    if amount is not None and not _AMOUNT.fullmatch(amount):
        raise UsageError(f"--memory: expected an amount with a unit, such as 500MB or 4GB, found '{amount}'")
    _chosen.set(amount)


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Forbid later queries access to files, networks, other databases, extensions and settings.

    All data must already be in the database or registered with it, as COPY may write any path that DuckDB may
    read.
    """
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


class RegisteredFiles:
    """Parquet files for a locked connection, registered as Arrow datasets, which it cannot write."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._names: dict[tuple[Path, ...], str] = {}

    def __call__(self, files: Sequence[Path]) -> str:
        """Register files, and return the name of their rows in SQL."""
        key = tuple(files)
        if key not in self._names:
            import pyarrow.dataset  # noqa: PLC0415 - for safe sessions alone

            name = self._names[key] = f"files_{len(self._names)}"
            dataset: Any = pyarrow.dataset.dataset([str(file) for file in files], format="parquet")
            self._connection.register(name, dataset)
        return self._names[key]


def to_error(error: duckdb.Error, safe: bool = False) -> PipelineError:
    """Return the exception for the user for an error of DuckDB, with a one-line message."""
    message = str(error)
    if isinstance(error, duckdb.OutOfMemoryException) or "bad_alloc" in message:
        if "max_temp_directory_size" in message or ("temp_directory" in message and not safe):
            first = message.splitlines()[0]
            return OutputError(f"no disk space for the query's intermediate results: {first}")
        wanted = re.search(r"of size ([\d.]+ \w+)", message)
        return OutOfMemory.wanted(
            wanted[1] if wanted else "",
            "use a larger --memory, or query fewer rows",
        )
    if isinstance(error, duckdb.IOException) and "No space left" in message:
        return OutputError(
            f"no disk space for the query's intermediate results: {message.splitlines()[0]}; "
            "set TMPDIR to a directory with more space"
        )
    if isinstance(error, _OF_FILES) and ".parquet" in message:
        return InputError(f"{to_line(error)}; if the file is a run's log, repeat the run")
    hint = "; with --safe, a query reads only open runs and recordings" if safe and _is_refused(error) else ""
    mistake = SqlError(f"{to_line(error)}{hint}; views: {', '.join(VIEWS)}")
    if (begin := message.find("\nLINE ")) >= 0:
        mistake.picture = message[begin + 1 :].rstrip()
    return mistake


def is_unplaced(error: duckdb.Error, known: PipelineError) -> bool:
    """Return whether an error may come from the data read, as it has no position in the statement.

    `known` is what `to_error` makes of it.
    """
    placed = isinstance(known, SqlError) and known.picture != ""
    return not (placed or isinstance(error, _OF_STATEMENTS) or isinstance(known, OutOfMemory | OutputError))


def _is_refused(error: duckdb.Error) -> bool:
    return isinstance(error, duckdb.PermissionException) or "configuration has been locked" in str(error)


def to_line(error: duckdb.Error) -> str:
    """Return DuckDB's message in one line, without its picture of the statement."""
    lines = [line.strip() for line in str(error).splitlines()]
    picture = next((i for i, line in enumerate(lines) if line.startswith("LINE ")), len(lines))
    message = " ".join(line for line in lines[:picture] if line)
    where = f" (line {lines[picture][5:].split(':', 1)[0]})" if picture < len(lines) else ""
    return f"{message}{where}"
