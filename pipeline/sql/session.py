"""DuckDB over any number of runs: one in-memory connection with the documented views of `views`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa

from pipeline.errors import InputError, OutOfMemory, OutputError, PipelineError, UsageError, one_line
from pipeline.io import interrupts
from pipeline.io.scratch import ScratchDirectory
from pipeline.runs.store import (
    Found,
    LockTable,
    Recording,
    Run,
    expand_patterns,
    find,
    find_runs,
    find_runs_and_locks,
    is_sweep,
)
from pipeline.schema.log import LOG_TABLES
from pipeline.schema.manifest import Totals
from pipeline.schema.names import CPU_CATEGORIES
from pipeline.sql.connection import RegisteredFiles, connect, is_unplaced, lock, to_error, to_line
from pipeline.sql.log_tables import ReadFiles, log_select, parquet_files, recorded_table
from pipeline.sql.macros import MACROS
from pipeline.sql.manifest_rows import manifest_rows, measured_rows, recording_row
from pipeline.sql.quoting import literal
from pipeline.sql.sums import sums_file, view_select
from pipeline.sql.sweep_results import reads_results_alone, results_table
from pipeline.sql.views import RESULTS, VIEWS, View

if TYPE_CHECKING:
    from pipeline.sql.recorded_pool import RecordedRun

# Rows about spinning, flushes, scans or sleeps are copied from the logs of all runs for later queries, up to
# this many rows. They take about 0.6 GB, which DuckDB spills if necessary.
MOST_KEPT_ROWS = 16_000_000

# Tables of the log for which recordings have rows.
RECORDED_TABLES = ("operations", "events")

# What making the views raises where a log or a manifest is damaged.
_UNREADABLE = (duckdb.Error, UnicodeDecodeError, pa.ArrowException, OverflowError)
_ENUMERATIONS = {"run": "run_name", "category": "cpu_category"}


class Session:
    """Runs opened for SQL. Not thread-safe. Close it, or use it in a `with` block."""

    def __init__(
        self,
        runs: Sequence[Found],
        memory: str | None = None,
        sweeps: Sequence[Path] = (),
        safe: bool = False,
    ) -> None:
        """Open the connection and create every view of `views.VIEWS` over `runs` (may be empty) and `sweeps`.

        The session spills to disk beyond `memory` ("500MB"; default: 2 GB or a share of this process's
        limit). A `safe` one is for untrusted queries: they read only open runs and recordings and write
        nothing, so it does not spill either. Raises InputError for a recording that cannot be read.
        """
        self.safe = safe
        self.runs = [found for found in runs if isinstance(found, Run)]
        self.recordings = [found for found in runs if isinstance(found, Recording)]
        self.lock_tables = [found for found in runs if isinstance(found, LockTable)]
        # Checked before opening anything that must be closed.
        recorded = _read_recordings(self.recordings)
        with ExitStack() as opened:
            self._connection = connect(memory, opened.enter_context(ScratchDirectory()), safe)
            opened.callback(self._connection.close)
            opened.enter_context(interrupts.stopped_by(self.interrupt))
            self._define(runs, recorded, sweeps)
            # From here on, `close` closes it.
            self._opened = opened.pop_all()

    def _define(
        self, runs: Sequence[Found], recorded: Mapping[str, RecordedRun], sweeps: Sequence[Path]
    ) -> None:
        self._kept = _too_long([found.manifest.totals for found in self.runs if found.has_log])
        # These need not read the log of any run.
        logged: list[Run | Recording] = [*self.runs, *self.recordings]
        self._summed = {
            view.name for view in VIEWS.values() if all(sums_file(view, found) for found in logged)
        }
        read = RegisteredFiles(self._connection) if self.safe else None
        try:
            define_views(self._connection, runs, recorded=recorded, sweeps=sweeps, read=read)
        except _UNREADABLE as error:
            if isinstance(error, duckdb.Error) and isinstance(
                known := to_error(error), OutOfMemory | OutputError
            ):
                raise known from error
            raise explain_damage(self.runs) or _damaged("", error) from error
        if self.safe:
            lock(self._connection)

    def query(
        self, sql: str, params: Mapping[str, Any] | None = None, most: int | None = None
    ) -> pl.DataFrame:
        """Run one SQL statement and return at most `rows` of its rows.

        `params` fill `$name` placeholders. Integer sums are Int64, and decimals are Float64. An error in the
        SQL, or a statement that returns no rows, raises UsageError with DuckDB's message in one line.
        """
        frame = self.run(sql, params, most)
        if frame is None:
            raise UsageError("expected a query that returns rows, such as SELECT; this statement has none")
        return frame

    def run(
        self, sql: str, params: Mapping[str, Any] | None = None, most: int | None = None
    ) -> pl.DataFrame | None:
        """Run one SQL statement like `query`; return None for a statement that returns no rows."""
        try:
            self._keep_sums(sql)
            relation = self._connection.sql(sql, params=dict(params)) if params else self._connection.sql(sql)
            if relation is not None and most is not None:
                relation = relation.limit(most)
            frame = None if relation is None else relation.pl()
        except duckdb.Error as error:
            raise self._explain(error) from error
        return None if frame is None else to_plain_types(frame)

    def batches(self, sql: str, rows: int = 8_192) -> Iterator[pa.RecordBatch]:
        """Run one SQL statement and yield its rows in batches of at most `rows`.

        The session's limit on memory applies, whatever the size of the result. No other statement can run
        until the last batch is read.
        """
        try:
            self._keep_sums(sql)
            reader = self._connection.sql(sql).to_arrow_reader(rows)
            yield from reader
        except duckdb.Error as error:
            raise self._explain(error) from error

    def _explain(self, error: duckdb.Error) -> PipelineError:
        """What an error of a statement comes to for the user."""
        known = to_error(error, self.safe)
        # DuckDB's errors about damaged bytes have many classes, and many name no file.
        damage = explain_damage(self.runs) if is_unplaced(error, known) else None
        return damage or known

    def add_table(self, name: str, rows: pa.Table) -> None:
        """Store rows as a table of this session, which hides a view of the same name."""
        self._connection.register("rows_to_add", rows)
        self._connection.execute(f"CREATE TEMP TABLE {name} AS FROM rows_to_add")
        self._connection.unregister("rows_to_add")

    def define(self, statement: str) -> None:
        """Run one statement that creates a view or a macro. Raises UsageError for an error in it."""
        try:
            if (found := len(duckdb.extract_statements(statement))) != 1:
                raise UsageError(f"expected one statement, found {found}")
            self._connection.execute(statement)
        except duckdb.Error as error:
            raise to_error(error, self.safe) from error

    def interrupt(self) -> None:
        """End the statement of another thread, in which it raises UsageError."""
        self._connection.interrupt()

    def _keep_sums(self, sql: str) -> None:
        """Compute the kept views that a statement mentions, and store them for later statements.

        They are temporary tables, which hide the views of the same names, also in other views and macros.
        """
        wanted = find_kept_views(sql, self._summed) - self._kept
        for name in (name for name in VIEWS if name in wanted):
            self._connection.execute(f"CREATE TEMP TABLE {name} AS FROM memory.main.{name}")
            self._kept.add(name)

    def close(self) -> None:
        """Close the connection and remove what it spilled."""
        self._opened.close()

    def __enter__(self) -> Session:
        """Return the session; the end of the `with` block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        self.close()


def _too_long(logs: Sequence[Totals]) -> set[str]:
    """Return the names of kept views with too many rows to store."""
    rows = {
        "spinning": 2 * sum(lock.contended for totals in logs for lock in totals.locks),
        "flushes": sum(totals.flushes for totals in logs),
        "scans": sum(totals.scans for totals in logs),
        "sleeps": sum(totals.sleeps for totals in logs),
    }
    return {name for name, amount in rows.items() if amount > MOST_KEPT_ROWS}


def explain_damage(runs: Sequence[Run]) -> InputError | None:
    """What is wrong with the first of these runs whose log cannot be read to its end; None if all can be."""
    for run in runs:
        with duckdb.connect() as connection, interrupts.stopped_by(connection.interrupt):
            try:
                define_views(connection, [run])
                for name in run.manifest.log_files.keys() & LOG_TABLES.keys():
                    connection.execute(f"SELECT count(COLUMNS(*)) FROM {name}").fetchall()
            except _UNREADABLE as error:
                return _damaged(f"{run.directory}: ", error)
    return None


def _damaged(place: str, error: Exception) -> InputError:
    what, reason = "a table of a run's log", one_line(error)
    if isinstance(error, duckdb.Error):
        reason = to_line(error)
    elif isinstance(error, UnicodeDecodeError):
        # DuckDB's message about such a name quotes it, and so cannot be decoded.
        reason = "a name in it is not UTF-8"
    else:
        what = "a figure in a run's manifest"
    return InputError(f"{place}{what} cannot be read: {reason}; repeat the run")


def define_views(
    connection: duckdb.DuckDBPyConnection,
    runs: Sequence[Found],
    place: Callable[[Path], str] = str,
    recorded: Mapping[str, RecordedRun] | None = None,
    sweeps: Sequence[Path] = (),
    read: ReadFiles | None = None,
) -> None:
    """Create the enumerations, every view of `views.VIEWS` and every macro over `runs`, which may be empty.

    `place` converts the path of a Parquet file for the views. `read` is the function by which they read it
    (None: by path). Rows of recordings are stored in the tables `recorded_operations` and `recorded_events`.
    `recorded` has recordings by name that are already read.
    """
    # As enumerations, runs sort in the given order, and categories in the order of the schema.
    _make_enumeration(connection, "run_name", [found.name for found in runs])
    _make_enumeration(connection, "cpu_category", list(CPU_CATEGORIES))
    read = read or partial(parquet_files, place=place)
    recordings = [found for found in runs if isinstance(found, Recording)]
    known = recorded or _read_recordings(recordings)
    for name, recorded_run in known.items():
        _keep(connection, name, recorded_run)
    held = RECORDED_TABLES if known else ()
    simulated = [found for found in runs if isinstance(found, Run)]
    measured = [found for found in runs if isinstance(found, LockTable)]
    logged = [found for found in runs if not isinstance(found, LockTable)]
    # DuckDB checks a macro against the views that it reads, and a view against the macros that it uses.
    late = [view for view in VIEWS.values() if find_relations(view.sql or "") & MACROS.keys()]
    for view in VIEWS.values():
        if view in late:
            continue
        if view.name in LOG_TABLES:
            selected = log_select(LOG_TABLES[view.name], simulated, read, view.name in held)
            connection.execute(f"CREATE VIEW {view.name} AS {selected}")
        elif view is RESULTS:
            connection.register("rows_of_sweeps", results_table(sweeps, place))
            connection.execute(f"CREATE TABLE {view.name} AS FROM rows_of_sweeps")
            connection.unregister("rows_of_sweeps")
        elif view.sql is not None:
            connection.execute(f"CREATE VIEW {view.name} AS {view_select(view, logged, read)}")
        else:
            rows = [row for found in simulated for row in manifest_rows(view.name, found)]
            if view.name == "runs":
                rows += [recording_row(found, known[found.name]) for found in recordings]
            rows += [row for table in measured for row in measured_rows(view.name, table)]
            _make_table(connection, view, rows)
    for macro in MACROS.values():
        connection.execute(macro.definition)
    for view in late:
        connection.execute(f"CREATE VIEW {view.name} AS {view_select(view, logged, read)}")


def _read_recordings(recordings: Sequence[Recording]) -> dict[str, RecordedRun]:
    """Read recordings, by name."""
    if not recordings:
        return {}
    from pipeline.sql.recorded_pool import read_recorded_run  # noqa: PLC0415 - imports Arrow's functions

    return {found.name: read_recorded_run(found.path) for found in recordings}


def _make_enumeration(connection: duckdb.DuckDBPyConnection, name: str, values: Sequence[str]) -> None:
    connection.execute(f"CREATE TYPE {name} AS ENUM ({', '.join(literal(v) for v in values)})")


def _keep(connection: duckdb.DuckDBPyConnection, name: str, run: RecordedRun) -> None:
    """Add a recording's rows to the tables of recordings, which are created if necessary."""
    for table in RECORDED_TABLES:
        rows = getattr(run, table)
        connection.register("recorded_rows", rows)
        chosen = f"SELECT CAST({literal(name)} AS run_name) AS run, * FROM recorded_rows"
        connection.execute(f"CREATE TABLE IF NOT EXISTS {recorded_table(table)} AS {chosen} LIMIT 0")
        connection.execute(f"INSERT INTO {recorded_table(table)} {chosen}")
        connection.unregister("recorded_rows")


def _make_table(connection: duckdb.DuckDBPyConnection, view: View, rows: list[dict[str, Any]]) -> None:
    schema = pa.schema([pa.field(c.name, c.type) for c in view.columns])
    connection.register("rows_of_manifests", pa.Table.from_pylist(rows, schema))
    chosen = ", ".join(
        f"CAST({c.name} AS {_ENUMERATIONS[c.name]}) AS {c.name}" if c.name in _ENUMERATIONS else c.name
        for c in view.columns
    )
    connection.execute(f"CREATE TABLE {view.name} AS SELECT {chosen} FROM rows_of_manifests")
    connection.unregister("rows_of_manifests")


def open_session(
    runs: Sequence[Path],
    memory: str | None = None,
    recordings: bool = False,
    statement: str | None = None,
    locks: bool = False,
    safe: bool = False,
) -> Session:
    """Open run directories, directories of runs or sweeps for SQL; see `views.VIEWS` for what is there.

    With `locks`, paths may be files of lock statistics; what these lack is printed on standard error. With
    `recordings`, paths may be recordings of the kernel's pool (a file, or the name of a shipped one). If
    `statement` is given, data that it does not need may stay unread. `memory` and `safe` are as for
    `Session`. Raises InputError for a path without a run, a damaged manifest and a newer run format.
    """
    runs = expand_patterns(runs)
    sweeps = [path for path in runs if is_sweep(path)]
    if statement is not None and reads_results_alone(statement, [*VIEWS, *MACROS]):
        # Reading the manifests of very many runs takes a while.
        runs = [path for path in runs if path not in sweeps]
    search: Callable[[Sequence[Path]], Sequence[Found]] = find_runs_and_locks if locks else find_runs
    found = (find if recordings else search)(runs)
    for table in found:
        if isinstance(table, LockTable) and (lacking := table.measured.lacking()):
            print(f"{table.path}: missing: {'; '.join(lacking)}", file=sys.stderr)
    return Session(found, memory, sweeps, safe)


# A name after FROM or JOIN, or a macro's argument: columns are named like views, `sleeps` for one.
_RELATION = re.compile(r"(?:\b(?:from|join)\s+|')(\w+)")


def find_relations(sql: str) -> set[str]:
    """Return the names from which a statement may read rows."""
    return set(_RELATION.findall(sql.lower()))


def find_kept_views(sql: str, summed: Collection[str] = ()) -> set[str]:
    """Return the names of kept views that a statement reads, directly or through other views and macros.

    Views that are `summed` for all runs read no other view.
    A view that it reads in another way, such as the second of `FROM a, b`, may be missing and is not stored.
    """
    definitions = {name: "" if name in summed else view.sql or "" for name, view in VIEWS.items()}
    definitions |= {name: macro.sql for name, macro in MACROS.items()}
    found: set[str] = set()
    texts = [sql]
    while texts:
        new = definitions.keys() & find_relations(texts.pop()) - found
        found |= new
        texts += [definitions[name] for name in new]
    return {name for name in found if name in VIEWS and VIEWS[name].kept}


def to_plain_types(frame: pl.DataFrame) -> pl.DataFrame:
    """Convert decimals, the type of integer sums and literals in DuckDB, to Int64 or Float64.

    Integers beyond 64 bits become Float64; enumerations become strings.
    """
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.Decimal):
            try:
                frame = frame.with_columns(pl.col(name).cast(pl.Int64 if kind.scale == 0 else pl.Float64))
            except pl.exceptions.InvalidOperationError:
                frame = frame.with_columns(pl.col(name).cast(pl.Float64))
        elif isinstance(kind, pl.Categorical | pl.Enum):
            frame = frame.with_columns(pl.col(name).cast(pl.String))
    return frame
