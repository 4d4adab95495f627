"""The interface of importers, and functions that read Parquet recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError, listed, nearest, printable
from pipeline.io.parquet import read_metadata, read_table
from pipeline.schema.trace_metadata import Provenance

# Columns of a trace: one array per column, all of the same length; -1 is null.
Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class ReadOptions:
    """Facts about a recording that the recording does not contain and the user must supply.

    threads: all tasks share one address space.
    tsc_ghz: frequency of the time-stamp counter in GHz, if times are in its ticks.
    mapping: file that maps the recording's columns to those of a trace.
    page_bytes: page size of the recorded machine.
    page_table_span_bytes: memory that one page of page-table entries maps on that machine.

    The last two apply to formats that count bytes (`Importer.counts_bytes`).
    """

    threads: bool = False
    tsc_ghz: float | None = None
    mapping: Path | None = None
    page_bytes: int = 4 << 10
    page_table_span_bytes: int = 2 << 20


@dataclass(frozen=True)
class Importer:
    """A supported format; each module of the package `formats` defines one as IMPORTER.

    sniff(path): return whether a file looks like this format.
    explain(path): return what is wrong with a file that almost has this format, else None.
    counts_bytes: pages are computed from addresses and file positions, so the page size matters.
    read(path, options): read a recording, in pieces or as a whole. It raises InputError for a file that does
        not have this format, and UsageError if a required option is missing.
    """

    name: str
    summary: str
    sniff: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], ImportedRows]
    explain: Callable[[Path], str | None] = lambda _: None
    counts_bytes: bool = False


@dataclass
class ImportedRows:
    """A recording as rows of a trace, with their provenance.

    rows: columns in the form that TraceWriter.write accepts.
    rows_in: number of rows or events read.
    dropped: number of dropped operations by reason.
    notes: assumptions and limits that affect results.
    losses: number of losses in the recording, by the names in `pipeline.trace.losses`.
    batches: pieces of rows, in place of `rows`; the other fields are valid only after the last piece.
    """

    rows: Rows
    columns: dict[str, Provenance]
    clock: str
    recorder: str
    rows_in: int
    cpus: int | None = None
    lost_events: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    losses: dict[str, int] = field(default_factory=dict)
    batches: Iterator[Rows] | None = None

    def in_batches(self, most_rows: int) -> Iterator[Rows]:
        """Yield the rows in pieces, of at most `most_rows` rows if the recording was read as a whole."""
        if self.batches is not None:
            yield from self.batches
            return
        for start in range(0, len(self.rows["time_ns"]), most_rows):
            yield {name: values[start : start + most_rows] for name, values in self.rows.items()}


@contextmanager
def name_file(path: Path, mapping: Path | None = None) -> Iterator[None]:
    """Add the name of the file to an InputError that names neither it nor its mapping."""
    try:
        yield
    except InputError as error:
        if str(path) in str(error) or (mapping and str(mapping) in str(error)):
            raise
        raise InputError(f"{path}: {error}") from error


def has_columns(names: Sequence[str]) -> Callable[[Path], bool]:
    """Return a function that tests whether a Parquet file has these columns."""
    return lambda path: read_column_names(path).issuperset(names)


def read_column_names(path: Path) -> frozenset[str]:
    """Return the column names of a Parquet file; none if `path` is not a Parquet file."""
    try:
        return frozenset(read_metadata(path, "a Parquet file")[1].names)
    except InputError:
        return frozenset()


def read_columns(path: Path, names: Sequence[str], what: str) -> pa.Table:
    """Read the named columns of the Parquet file `path`; `what` names the expected file in errors.

    Raises InputError if the file is missing, not Parquet, truncated, or lacks a column.
    """
    _, schema = read_metadata(path, what)
    found = schema.names
    missing = [name for name in names if name not in found]
    if missing:
        near = [guess for name in missing for guess in nearest(name, found)]
        raise InputError(
            f"{path}: expected {what}; missing columns: {listed(missing)}"
            + (f" (similar: {listed(near)})" if near else "")
            + f"; found: {listed(found)}; give another file or --format"
        )
    if doubled := [name for name in names if found.count(name) > 1]:
        raise InputError(
            f"{path}: expected {what}, found the column {printable(doubled[0])} more than once; the file is "
            "damaged"
        )
    return read_table(path, what, names)


def integers(table: pa.Table, name: str, null: int | None = None) -> np.ndarray:
    """Return column `name` as int64, with `null` in place of nulls.

    Raises InputError if the column does not contain whole numbers, or contains a null and `null` is None; the
    message names the row.
    """
    column = table.column(name)
    if column.null_count and null is None:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise InputError(
            f"column '{name}' is null at row {row:,}, but a number is required; correct the recording"
        )
    try:
        column = column.cast(pa.int64())
    except pa.ArrowException as error:
        raise InputError(
            f"column '{name}' has the type {column.type}, but whole numbers are required; cast it first"
        ) from error
    return (column if null is None else column.fill_null(null)).to_numpy()
