"""What `pipeline sql` does: one statement, from text, a file or the library, over runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from pipeline.errors import UsageError, unknown_name
from pipeline.io.files import readable_file
from pipeline.io.key_values import key_values
from pipeline.io.tables import align_columns
from pipeline.sql.library import (
    Param,
    Query,
    Value,
    load_query,
    plain_value,
    queries,
    read_query,
    run_query,
)
from pipeline.sql.macros import MACROS
from pipeline.sql.session import open_session
from pipeline.sql.views import VIEWS


def sql(
    runs: Sequence[Path],
    query: str | None = None,
    *,
    file: Path | None = None,
    name: str | None = None,
    params: Mapping[str, Value] | None = None,
) -> pl.DataFrame:
    """Answer one SQL query over runs.

    `runs` are run directories, directories of runs, recordings of the kernel's pool (`*.kmap.parquet`) or
    names of shipped ones. Exactly one of `query` (SQL text), `file` (a .sql file) and `name` (a query of the
    library) is given; `params` fill its `$name` placeholders. The views are those of `views.VIEWS`. Raises
    UsageError for a mistake in the SQL or its parameters, InputError for a path without a readable run.
    """
    given = [what for what in (query, file, name) if what is not None]
    if len(given) != 1:
        found = "none" if not given else f"{len(given)} of them"
        raise UsageError(
            f"wanted exactly one of a query, --file and --name, found {found}; "
            f"'pipeline queries' lists the names; views: {', '.join(VIEWS)}"
        )
    if file is not None:
        chosen = read_query(readable_file(file, "a .sql file"))
    elif name is not None:
        chosen = load_query(name)
    else:
        chosen = Query("query", "", query or "", (), (), (), Path())
    with open_session(runs, recordings=True) as session:
        return run_query(session, chosen, params)


def settings(pairs: Sequence[str]) -> dict[str, Value]:
    """Read `name=value` pairs; a value that looks like a number is one."""
    return {name: plain_value(text) for name, text in key_values(pairs, "--set").items()}


def described(name: str | None = None) -> str:
    """Describe the library in text: every query with its question, or one query in full with its SQL."""
    if name is None:
        known = queries()
        return align_columns((query.name, query.question) for query in known.values())
    query = load_query(name)
    lines = [query.name, query.question, ""]
    lines += _section("parameters", [(_default(p), "", p.doc) for p in query.params])
    lines += _section("columns", [(c.name, c.unit, c.doc) for c in query.columns])
    lines += [f"reads: {', '.join(query.reads) or '(not said)'}", "", query.body]
    return "\n".join(lines) + "\n"


def described_views() -> str:
    """Describe every view with its columns, then every macro with its parameters, in text."""
    return "\n".join(described_in_sql(name) for name in (*VIEWS, *MACROS))


def described_in_sql(name: str) -> str:
    """Describe what SQL knows by a name: a view with its columns, or a macro with its parameters, in text.

    Raises UsageError for a name of neither.
    """
    if name in VIEWS:
        view = VIEWS[name]
        lines = [f"{view.name}: {view.doc}"]
        lines += _section("columns", [(c.name, c.unit, c.doc) for c in view.columns])[1:]
    elif name in MACROS:
        macro = MACROS[name]
        lines = [f"{macro.call}: macro; {macro.doc}"]
        lines += _section("parameters", [(name, "", doc) for name, doc in macro.parameters])[:-1]
        lines += _section("columns", [(name, "", doc) for name, doc in macro.columns])
    else:
        raise unknown_name("view or macro", name, [*VIEWS, *MACROS])
    return "\n".join(lines).rstrip("\n") + "\n"


def _default(param: Param) -> str:
    return f"{param.name} = {param.default}"


def _section(title: str, rows: Sequence[tuple[str, str, str]]) -> list[str]:
    if not rows:
        return []
    first = max(len(row[0]) for row in rows)
    second = max(len(row[1]) for row in rows)
    return [
        f"{title}:",
        *(f"  {a.ljust(first)}  {f'{b.ljust(second)}  ' if second else ''}{doc}" for a, b, doc in rows),
        "",
    ]
