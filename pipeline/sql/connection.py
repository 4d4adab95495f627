"""The DuckDB connection of a session: what it may use, whom it may believe, and what its errors mean."""

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

# Of the machine's memory a session takes this much before it spills to its temporary directory.
_MOST_MB = 2_000
# Of what this process may have: Arrow's and Polars' copies of an answer and the libraries need the rest.
_SHARE = 0.25
_LEAST_MB = 100

_chosen: ContextVar[str | None] = ContextVar("memory", default=None)

# What DuckDB raises for a file that is damaged or gone, among others.
_OF_FILES = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)

_AMOUNT = re.compile(r"\d+(\.\d+)? ?([KMGT]i?B)", re.IGNORECASE)


class SqlError(UsageError):
    """A mistake in a statement; `picture` is the line with carets under the place, "" where it is unknown."""

    picture = ""


def connect(memory: str | None, spill: str, safe: bool) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database that may have so much `memory` ("500MB"; see `default_memory`), then spills.

    A `safe` one is for queries that are not trusted: see `lock`.
    """
    connection = duckdb.connect(
        config={
            "memory_limit": _chosen.get() or memory or default_memory(),
            # A query can find out the directory's name, and write files there.
            "temp_directory": "" if safe else spill,
            # Nothing is ever fetched: what the wheel has is all there is.
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            # A name in a query is a table's and never a variable's of this program.
            "python_enable_replacements": "false",
        }
    )
    connection.execute("SET enable_progress_bar = false")
    return connection


def default_memory(most_mb: int = _MOST_MB) -> str:
    """What a session may take by default: `most_mb`, less where this process may not have that much."""
    limit = memory_limit()
    most = most_mb if limit is None else min(most_mb, int(limit * _SHARE / 1e6))
    return f"{max(_LEAST_MB, most)}MB"


def set_memory(amount: str | None) -> None:
    """Choose what every session of this process may take, such as 500MB; None: the default.

    Raises UsageError for what is no amount.
    """
    if amount is not None and not _AMOUNT.fullmatch(amount):
        raise UsageError(f"--memory: wanted an amount with its unit, such as 500MB or 4GB, found '{amount}'")
    _chosen.set(amount)


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep every query from now on away from files, networks, other databases, extensions and settings.

    What is to be read must be in the database already or registered with it: to DuckDB, a path that may be
    read is one that COPY may write.
    """
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


class RegisteredFiles:
    """Parquet files that a locked connection can read: as Arrow datasets, which it cannot write."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._names: dict[tuple[Path, ...], str] = {}

    def __call__(self, files: Sequence[Path]) -> str:
        """Register files, and return the name under which SQL reads their rows."""
        key = tuple(files)
        if key not in self._names:
            import pyarrow.dataset  # noqa: PLC0415 - for safe sessions alone

            name = self._names[key] = f"files_{len(self._names)}"
            dataset: Any = pyarrow.dataset.dataset([str(file) for file in files], format="parquet")
            self._connection.register(name, dataset)
        return self._names[key]


def to_error(error: duckdb.Error, safe: bool = False) -> PipelineError:
    """Return what an error of DuckDB comes to for the user, in one line."""
    message = str(error)
    if isinstance(error, duckdb.OutOfMemoryException) or "bad_alloc" in message:
        if "max_temp_directory_size" in message or ("temp_directory" in message and not safe):
            first = message.splitlines()[0]
            return OutputError(f"the query's intermediate results have no room on disk: {first}")
        wanted = re.search(r"of size ([\d.]+ \w+)", message)
        return OutOfMemory.wanted(
            wanted[1] if wanted else "",
            "allow the query more by --memory, or ask for fewer rows at once",
        )
    if isinstance(error, duckdb.IOException) and "No space left" in message:
        return OutputError(
            f"the query's intermediate results have no room on disk: {message.splitlines()[0]}; "
            "let TMPDIR name a directory that has more"
        )
    if isinstance(error, _OF_FILES) and ".parquet" in message:
        return InputError(f"{to_line(error)}; if it is of a run's log, make the run again")
    hint = "; with --safe, a query reads what is open and nothing else" if safe and _is_refused(error) else ""
    mistake = SqlError(f"{to_line(error)}{hint}; views: {', '.join(VIEWS)}")
    if (begin := message.find("\nLINE ")) >= 0:
        mistake.picture = message[begin + 1 :].rstrip()
    return mistake


def _is_refused(error: duckdb.Error) -> bool:
    return isinstance(error, duckdb.PermissionException) or "configuration has been locked" in str(error)


def to_line(error: duckdb.Error) -> str:
    """DuckDB's message in one line, without its picture of the statement."""
    lines = [line.strip() for line in str(error).splitlines()]
    picture = next((i for i, line in enumerate(lines) if line.startswith("LINE ")), len(lines))
    message = " ".join(line for line in lines[:picture] if line)
    where = f" (line {lines[picture][5:].split(':', 1)[0]})" if picture < len(lines) else ""
    return f"{message}{where}"
