"""What an importer hands over, and how it reads a Parquet recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError, nearest
from pipeline.io.parquet import read_metadata, read_table
from pipeline.schema.trace_metadata import Provenance

# Columns of a trace, one array each and all of one length; -1 is null.
Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class ReadOptions:
    """What a recording does not say of itself and the user must.

    `threads`: all its tasks share one address space. `tsc_ghz`: rate of the time-stamp counter that its times
    count, in GHz. `mapping`: a file that says which of its columns are which of a trace's.
    `page_bytes` is the size of its machine's pages, `page_table_span_bytes` what one page of page-table
    entries maps there; both matter to formats that count bytes (`Importer`).
    """

    threads: bool = False
    tsc_ghz: float | None = None
    mapping: Path | None = None
    page_bytes: int = 4 << 10
    page_table_span_bytes: int = 2 << 20


@dataclass(frozen=True)
class Importer:
    """A format that can be imported: every module of the package `formats` defines one as IMPORTER.

    `sniff(path)` says whether a file looks like it, and `explain(path)` what is amiss where it only nearly
    does. `counts_bytes` says that pages follow from addresses and positions, so that their size matters.
    `read(path, options)` reads one, in pieces or whole; it raises InputError for a file that is not of the
    format, and UsageError for an option that it lacks.
    """

    name: str
    summary: str
    sniff: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], ImportedRows]
    explain: Callable[[Path], str | None] = lambda _: None
    counts_bytes: bool = False


@dataclass
class ImportedRows:
    """A recording as rows of a trace, ready to be written, with all that is known of how they came about.

    `rows` is as TraceWriter.write takes it. `rows_in` counts the rows or events read, `dropped` how many
    operations were left out, by reason; `notes` is what a reader of results must know. `losses` counts what
    the recording lacks, by the names in `pipeline.trace.losses`.

    A recording that is read in pieces has `batches` in place of `rows`; everything else is known only once
    they have been read to the end.
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
        """Yield the rows in pieces, of at most `most_rows` where they were read whole."""
        if self.batches is not None:
            yield from self.batches
            return
        for start in range(0, len(self.rows["time_ns"]), most_rows):
            yield {name: values[start : start + most_rows] for name, values in self.rows.items()}


def has_columns(names: Sequence[str]) -> Callable[[Path], bool]:
    """Build the check for a Parquet file with these columns, among others."""
    return lambda path: read_column_names(path).issuperset(names)


def read_column_names(path: Path) -> frozenset[str]:
    """Column names of a Parquet file; none if `path` is not one."""
    try:
        return frozenset(read_metadata(path, "a Parquet file")[1].names)
    except InputError:
        return frozenset()


def read_columns(path: Path, names: Sequence[str], what: str) -> pa.Table:
    """Read the named columns of the Parquet file `path`; `what` says what file was wanted, for errors.

    Raises InputError when the file is missing, not Parquet, cut short, or lacks a column.
    """
    _, schema = read_metadata(path, what)
    found = schema.names
    missing = [name for name in names if name not in found]
    if missing:
        near = [guess for name in missing for guess in nearest(name, found)]
        raise InputError(
            f"{path}: wanted {what}; missing columns: {', '.join(missing)}"
            + (f" (near: {', '.join(near)})" if near else "")
            + f"; found: {', '.join(found)}; give the right file or another --format"
        )
    if doubled := [name for name in names if found.count(name) > 1]:
        raise InputError(f"{path}: wanted {what}, found the column {doubled[0]} several times; it is damaged")
    return read_table(path, what, names)


def integers(table: pa.Table, name: str, null: int | None = None) -> np.ndarray:
    """Column `name` as int64, with `null` in the place of nulls.

    Raises InputError where the column holds no whole numbers, and naming the row where one is null and
    `null` is not given.
    """
    column = table.column(name)
    if column.null_count and null is None:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise InputError(
            f"column '{name}' is null at row {row:,}, where a number was wanted; mend the recording"
        )
    try:
        column = column.cast(pa.int64())
    except pa.ArrowException as error:
        raise InputError(
            f"column '{name}' is {column.type}, where whole numbers were wanted; cast it first"
        ) from error
    return (column if null is None else column.fill_null(null)).to_numpy()
