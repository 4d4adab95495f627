"""What `pipeline sql` does: statements, from text, a file or the library, over runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from pipeline.errors import UsageError, unknown_name
from pipeline.io.files import readable_file
from pipeline.io.key_values import key_values
from pipeline.sql.library import (
    Query,
    Value,
    load_query,
    placeholders,
    plain_value,
    read_query,
    run_query,
)
from pipeline.sql.session import Session, open_session
from pipeline.sql.statements import is_question, split_statements
from pipeline.sql.views import VIEWS


def sql(
    runs: Sequence[Path],
    query: str | None = None,
    *,
    file: Path | None = None,
    name: str | None = None,
    params: Mapping[str, Value] | None = None,
    safe: bool = False,
) -> pl.DataFrame:
    """Answer one SQL query over runs.

    `runs` are run directories, directories of runs, recordings of the kernel's pool (`*.kmap.parquet`), names
    of shipped ones, or files of lock statistics. Exactly one of `query` (SQL text), `file` (a .sql file) and
    `name` (a query of the library) is required; `params` fill its `$name` placeholders. A `safe` query reads
    only those runs and writes nothing. The views are those of `views.VIEWS`. The query may be preceded by
    other statements. Raises UsageError for an error in the SQL or its parameters, and InputError for a path
    without a readable run.
    """
    chosen = choose_query(query, file, name)
    with open_session(runs, recordings=True, statement=chosen.body, safe=safe) as session:
        frames = list(answers(session, chosen, params))
    if len(frames) != 1:
        raise UsageError(f"expected SQL with one result, found {len(frames)}; run the queries separately")
    return frames[0]


def choose_query(query: str | None, file: Path | None, name: str | None) -> Query:
    """Return the given query: SQL text, a .sql file, or a name of the library. Raises UsageError."""
    given = [what for what in (query, file, name) if what is not None]
    if len(given) != 1:
        found = "none" if not given else f"{len(given)} of them"
        raise UsageError(
            f"expected exactly one of a query, --file and --name, found {found}; "
            f"'pipeline queries' lists the names; views: {', '.join(VIEWS)}"
        )
    if file is not None:
        return read_query(readable_file(file, "a .sql file"))
    if name is not None:
        return load_query(name)
    return Query("query", "", query or "", (), (), (), Path())


def answers(
    session: Session, query: Query, params: Mapping[str, Value] | None = None, most: int | None = None
) -> Iterator[pl.DataFrame]:
    """Run the statements of a query in order, and yield the rows of each statement that returns rows.

    Each result has at most `rows` rows. Raises UsageError for an error in a statement, for a parameter that
    no statement has, and for a single statement that returns no rows.
    """
    statements = split_statements(query.body)
    if len(statements) <= 1:
        yield run_query(session, query, params, most)
        return
    known = {param.name for param in query.params} | placeholders(query.body)
    for name in params or {}:
        if name not in known:
            raise unknown_name(f"parameter of '{query.name}'", name, known)
    for statement in statements:
        wanted = placeholders(statement)
        given = {name: value for name, value in (params or {}).items() if name in wanted}
        if not is_question(statement):
            session.run(statement, given or None)
            continue
        part = replace(query, sql=statement, params=tuple(p for p in query.params if p.name in wanted))
        yield run_query(session, part, given, most)


def parse_settings(pairs: Sequence[str]) -> dict[str, Value]:
    """Parse `name=value` pairs; numeric values become numbers."""
    return {name: plain_value(text) for name, text in key_values(pairs, "--set").items()}
