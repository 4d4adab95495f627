"""The query library: SQL files, each documented in a header of comment lines.

    -- question: How often does the pool flush?
    -- param: buckets = 120; number of time buckets
    -- column: run; name of the run
    -- column: per_second (1/s); flushes per second of simulated time
    -- reads: totals, flush

`param` gives a name, its default and its meaning; the SQL uses it as `$buckets`. Every output column has a
`column` line, with its unit in brackets if it has one. `reads` names the inputs: `totals` (manifests, which
include runs without a log), `operations`, or event kinds. The header is optional in a user's own file. A
malformed line is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError, UsageError, unknown_name
from pipeline.io.files import readable_file
from pipeline.io.resources import shipped_files
from pipeline.io.tables import align_columns, titled_columns
from pipeline.schema.names import EVENT_KINDS
from pipeline.sql.quoting import literal

if TYPE_CHECKING:
    import polars as pl

    from pipeline.sql.session import Session

Value = int | float | str

READS = ("totals", "operations", *EVENT_KINDS)

_LINE = re.compile(r"^-- (question|param|column|reads): (.*)$")
_PARAM = re.compile(r"^(\w+) = ([^;]+); (.+)$")
_COLUMN = re.compile(r"^(\w+)(?: \(([^)]+)\))?; (.+)$")
_PLACEHOLDER = re.compile(r"\$([A-Za-z_]\w*)")


@dataclass(frozen=True)
class Param:
    """A parameter of a query: its name in the SQL, its default (which sets its type) and its meaning."""

    name: str
    default: Value
    doc: str


@dataclass(frozen=True)
class OutputColumn:
    """A column of a query's result, with its unit ("" if it has none)."""

    name: str
    unit: str
    doc: str


@dataclass(frozen=True)
class Query:
    """One question and the SQL that answers it."""

    name: str
    question: str
    sql: str
    params: tuple[Param, ...]
    columns: tuple[OutputColumn, ...]
    reads: tuple[str, ...]
    path: Path

    @property
    def reads_log(self) -> bool:
        """Whether it requires the log, rather than only totals."""
        return any(word != "totals" for word in self.reads)

    @property
    def body(self) -> str:
        """The SQL without its header."""
        lines = self.sql.splitlines()
        first = next((i for i, line in enumerate(lines) if not _LINE.match(line)), 0)
        return "\n".join(lines[first:]).strip()


def queries() -> dict[str, Query]:
    """The shipped queries by name, sorted."""
    return {name: read_query(path) for name, path in shipped_files("queries", ".sql").items()}


def load_query(name_or_path: str | Path) -> Query:
    """Load a shipped query by name, or any query by the path of its .sql file.

    An unknown name raises UsageError with the nearest ones; an unreadable file raises InputError.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".sql") or "/" in text:
        return read_query(readable_file(Path(text), "a .sql file"))
    known = shipped_files("queries", ".sql")
    if text not in known:
        raise unknown_name("query", text, known, "or give the path of a .sql file", (".sql",))
    return read_query(known[text])


def read_query(path: Path) -> Query:
    """Read a .sql file and its header; a malformed header line raises InputError."""
    try:
        sql = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected SQL in UTF-8: {error}") from error
    question = ""
    params: list[Param] = []
    columns: list[OutputColumn] = []
    reads: tuple[str, ...] = ()
    for number, line in enumerate(sql.splitlines(), 1):
        header = _LINE.match(line)
        if not header:
            continue
        key, rest = header[1], header[2].strip()
        if key == "question":
            question = rest
        elif key == "param" and (found := _PARAM.match(rest)):
            params.append(Param(found[1], plain_value(found[2].strip()), found[3]))
        elif key == "column" and (found := _COLUMN.match(rest)):
            columns.append(OutputColumn(found[1], found[2] or "", found[3]))
        elif key == "reads":
            reads = tuple(word.strip() for word in rest.split(","))
            for word in reads:
                if word not in READS:
                    raise InputError(
                        f"{path}:{number}: unknown '{word}' in '-- reads:'; known: {', '.join(READS)}"
                    )
        else:
            form = "name = default; meaning" if key == "param" else "name (unit); meaning"
            raise InputError(f"{path}:{number}: expected '-- {key}: {form}', found '{line}'")
    return Query(path.stem, question, sql, tuple(params), tuple(columns), reads, path)


def plain_value(text: str) -> Value:
    """Return an integer, a float, or the text without its quotes."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1]
    return text


def run_query(
    session: Session, query: Query, params: Mapping[str, Value] | None = None, most: int | None = None
) -> pl.DataFrame:
    """Run a query over the session's runs, for at most `rows` rows, with `params` instead of its defaults.

    Text is converted to the type of the parameter's default. Raises UsageError for an unknown parameter and
    an invalid value.
    """
    values = {param.name: param.default for param in query.params}
    wanted = placeholders(query.body)
    for name, value in (params or {}).items():
        if name not in values and name not in wanted:
            raise unknown_name(f"parameter of '{query.name}'", name, values.keys() | wanted)
        values[name] = _fit_type(query.name, name, value, values.get(name))
    missing = wanted - values.keys()
    if missing:
        raise UsageError(
            f"query '{query.name}' requires a value for {', '.join(sorted(missing))}; "
            f"give --set {min(missing)}=VALUE"
        )
    return session.query(query.sql, {name: values[name] for name in values if name in wanted}, most)


def placeholders(sql: str) -> set[str]:
    """Return the names of the `$name` placeholders of a query."""
    return set(_PLACEHOLDER.findall(sql))


def fill_placeholders(query: Query, params: Mapping[str, Value]) -> str:
    """Write a query's SQL with values in place of its parameters, to run it anywhere."""
    values = {param.name: param.default for param in query.params} | dict(params)
    return replace_placeholders(query.body, {name: _literal(value) for name, value in values.items()})


def _literal(value: Value) -> str:
    if isinstance(value, str):
        return literal(value)
    # Without an exponent, DuckDB reads a number with a point as a decimal, which has different arithmetic.
    return f"{value!r}e0" if isinstance(value, float) and "e" not in repr(value) else repr(value)


def replace_placeholders(sql: str, values: Mapping[str, str]) -> str:
    """Replace the `$name` placeholders of a query by `values`."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], sql)


def _fit_type(query: str, name: str, value: Value, default: Value | None) -> Value:
    """Convert `value` to the type of `default`."""
    if isinstance(default, str):
        return str(value)
    found = plain_value(value) if isinstance(value, str) else value
    if default is None or isinstance(found, type(default)) or (isinstance(default, float) and found == 0):
        return found
    if isinstance(default, float) and isinstance(found, int):
        return float(found)
    wanted = "a whole number" if isinstance(default, int) else "a number"
    raise UsageError(f"parameter '{name}' of '{query}': expected {wanted}, found '{value}'")


def describe_queries(name: str | None = None) -> str:
    """Describe the library as text: every query with its question, or one query in full with its SQL."""
    if name is None:
        return align_columns((query.name, query.question) for query in queries().values())
    query = load_query(name)
    return (
        f"{query.name}\n{query.question}\n\n"
        + titled_columns("parameters", ((f"{p.name} = {p.default}", p.doc) for p in query.params), end="\n")
        + titled_columns("columns", ((c.name, c.unit, c.doc) for c in query.columns), end="\n")
        + f"reads: {', '.join(query.reads) or '(not declared)'}\n\n{query.body}\n"
    )
