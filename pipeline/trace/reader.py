"""Reading a trace: one row group at a time, as Arrow batches with columns that NumPy uses without a copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipeline.errors import InputError, nearest, one_line, printable
from pipeline.io.files import regular_file
from pipeline.io.json_text import parse_json
from pipeline.io.parquet import DAMAGE, parquet_errors, read_metadata
from pipeline.io.parquet_footer import Struct, column_maximum, read_footer
from pipeline.schema.names import KINDS
from pipeline.schema.trace import ARROW_SCHEMA, COLUMN_NAMES, COLUMNS, FORMAT_VERSION, ROW_GROUP_ROWS, Column
from pipeline.schema.trace_metadata import METADATA_KEY, TraceMetadata
from pipeline.trace.lock_text import find_format, say_no_trace

UNKNOWN_KIND = -1

_BY_NAME = {column.name: column for column in COLUMNS}
# Bytes read from a file that is not a trace to detect its format.
_SNIFFED_BYTES = 1 << 16
_KIND_DICTIONARY = pa.array(KINDS)


class Trace:
    """A trace file opened for reading. Rows are read when `batches` is consumed, and can be read repeatedly.

    `path` is the file, `metadata` its metadata, and `rows` its number of rows.
    """

    def __init__(self, path: Path, metadata: TraceMetadata, parquet: pq.FileMetaData) -> None:
        """Create the object. Use `open_trace`, which checks the arguments."""
        self.path = path
        self.metadata = metadata
        self.rows: int = parquet.num_rows
        self._parquet = parquet

    def batches(
        self, columns: Sequence[str] | None = None, rows: int = ROW_GROUP_ROWS, threads: bool = True
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows in file order, at most `rows` at a time, in memory bounded by one row group.

        With `threads`, columns are decoded in parallel; otherwise the calling thread decodes them.

        The batches have the types of ARROW_SCHEMA; `kind` is a dictionary with the values KINDS in order.
        `columns` selects and orders the columns (default: all). Raises InputError for an unknown kind, with
        its row (from 0), and for data that cannot be decoded.
        """
        return self._batches(columns, rows, threads, tolerant=False)

    def tolerant_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows like `batches`, but with the code UNKNOWN_KIND for an unknown or null kind."""
        return self._batches(None, ROW_GROUP_ROWS, threads=True, tolerant=True)

    def maximum(self, column: str) -> int:
        """Return the largest value of an integer column, -1 without rows. Uses Parquet statistics if present.

        `TraceCheck` detects wrong statistics. Raises InputError for damaged ones.
        """
        with parquet_errors(self.path, "a trace"):
            return self._maximum(column)

    @cached_property
    def _footer(self) -> Struct:
        return read_footer(self.path)

    def _maximum(self, column: str) -> int:
        largest = column_maximum(self._footer, self._parquet.schema.names.index(column))
        return self._maximum_by_reading(column) if largest is None else largest

    def _maximum_by_reading(self, column: str) -> int:
        best = -1
        for batch in self.batches([column]):
            values = batch.column(0).drop_null().to_numpy()
            if len(values):
                best = max(best, int(values.max()))
        return best

    def _batches(
        self, columns: Sequence[str] | None, rows: int, threads: bool, tolerant: bool
    ) -> Iterator[pa.RecordBatch]:
        names = list(COLUMN_NAMES if columns is None else columns)
        schema = pa.schema([ARROW_SCHEMA.field(name) for name in names])
        first_row = 0
        try:
            # pre_buffer would keep every fetched row group until the file is closed.
            with pq.ParquetFile(
                self.path, metadata=self._parquet, read_dictionary=["kind"], pre_buffer=False
            ) as file:
                for batch in file.iter_batches(rows, columns=names, use_threads=threads):
                    arrays = [
                        _kind_column(batch.column(name), first_row, self.path, tolerant)
                        if name == "kind"
                        else batch.column(name)
                        for name in names
                    ]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)
                    first_row += batch.num_rows
        except DAMAGE as error:
            raise self._damaged(first_row, one_line(error)) from error
        if first_row != self.rows:
            raise self._damaged(first_row, "end of data")

    def _damaged(self, row: int, reason: str) -> InputError:
        return InputError(
            f"{self.path}: expected {self.rows:,} rows, but the data after row {row:,} cannot be read "
            f"({reason}); the file is damaged: copy, import or generate it again"
        )


def open_trace(path: Path) -> Trace:
    """Open the trace at `path` after checking its metadata and columns, without reading rows.

    Raises InputError if the file does not exist, is not Parquet or is truncated, if it has no trace metadata
    or a newer version of it, or if a column is missing or has the wrong type.
    """
    path = Path(path)
    parquet, schema = _parquet_metadata(path)
    text = (parquet.metadata or {}).get(METADATA_KEY)
    _check_columns(path, schema)
    if text is None:
        raise InputError(
            f"{path}: expected a trace, found its columns without its metadata; convert it with "
            f"'pipeline import {path} -o NEW.parquet'"
        )
    return Trace(path, _parse_metadata(path, text), parquet)


def find_own_metadata(path: Path) -> TraceMetadata | None:
    """Return the metadata of a file if it is a trace, or None for any other file.

    Raises InputError for a trace that cannot be read.
    """
    try:
        found = METADATA_KEY in (_parquet_metadata(path)[0].metadata or {})
    except InputError:
        return None
    return open_trace(path).metadata if found else None


def numpy_column(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """Return a column of a batch as a one-dimensional NumPy array of the column's own integer type.

    For `kind`, return its int8 codes, which are positions in KINDS. A column without nulls is not copied. In
    a nullable column (`cpu`, `bytes`), null becomes -1. Raises InputError for a null in any other column.
    """
    column = batch.column(name)
    if name == "kind" and pa.types.is_dictionary(column.type):
        column = column.indices
    if column.null_count == 0:
        return column.to_numpy()
    if not _BY_NAME[name].nullable:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise InputError(
            f"column '{name}' of a trace is null at row {row} of its batch, where a value is required; "
            "'pipeline doctor' counts all such rows"
        )
    return column.fill_null(-1).to_numpy()


def _parquet_metadata(path: Path) -> tuple[pq.FileMetaData, pa.Schema]:
    with regular_file(path, "a Parquet file").open("rb") as handle:
        head = handle.read(_SNIFFED_BYTES)
    if head.startswith(b"PAR1"):
        return read_metadata(path, "a trace")
    if form := find_format(head):
        raise InputError(f"{path}: expected a trace; this {say_no_trace(form, path)}")
    raise InputError(
        f"{path}: expected a Parquet file, found another format; 'pipeline import' converts recordings"
    )


def _check_columns(path: Path, schema: pa.Schema) -> None:
    missing = [name for name in COLUMN_NAMES if name not in schema.names]
    if missing:
        others = [name for name in schema.names if name not in COLUMN_NAMES]
        near = {name: nearest(name, others) for name in missing}
        guesses = [f"'{printable(found[0])}' resembles '{name}'" for name, found in near.items() if found]
        raise InputError(
            f"{path}: expected a trace with columns {', '.join(COLUMN_NAMES)}; missing: {', '.join(missing)}"
            + (f" ({'; '.join(guesses)})" if guesses else "")
            + "; if it is a recording, 'pipeline import' converts it to a trace"
        )
    if doubled := [name for name in COLUMN_NAMES if schema.names.count(name) > 1]:
        raise InputError(
            f"{path}: expected each column of a trace once, found {', '.join(doubled)} several times; it is "
            "damaged, or not a trace"
        )
    wrong = [
        f"{column.name} is {schema.field(column.name).type}, expected {column.type}"
        for column in COLUMNS
        if not _type_fits(column, schema.field(column.name).type)
    ]
    if wrong:
        raise InputError(
            f"{path}: columns of the wrong type: {'; '.join(wrong)}; cast them, or convert the file with "
            "'pipeline import'"
        )


def _type_fits(column: Column, found: pa.DataType) -> bool:
    if column.name != "kind":
        return found == column.type
    values = found.value_type if pa.types.is_dictionary(found) else found
    return pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values)


def _parse_metadata(path: Path, text: bytes) -> TraceMetadata:
    try:
        fields = parse_json(text)
        version = int(fields["format_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: the trace's metadata cannot be read ({one_line(error)}); generate or import it again"
        ) from error
    if version > FORMAT_VERSION:
        raise InputError(
            f"{path}: expected trace format version {FORMAT_VERSION} or older, found {version}; "
            "update pipeline to read it"
        )
    try:
        return TraceMetadata.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path}: the trace's metadata is invalid at '{where}' ({first['msg']}); generate or import it "
            "again"
        ) from error


def _kind_column(column: pa.Array, first_row: int, path: Path, tolerant: bool) -> pa.DictionaryArray:
    """Recode a string or dictionary column to int8 codes into KINDS, in any order in the file."""
    # Arrow can decode damaged bytes to an invalid column.
    column.validate(full=True)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    names = column.dictionary.to_pylist()
    if column.null_count == 0 and tuple(names) == KINDS and column.type.index_type == pa.int8():
        return column
    code_of = {name: code for code, name in enumerate(KINDS)}
    codes = np.array([code_of.get(name, UNKNOWN_KIND) for name in names], np.int8)
    indices = column.indices
    found = indices.fill_null(0).to_numpy() if indices.null_count else indices.to_numpy()
    out = codes[found] if len(codes) else np.full(len(found), UNKNOWN_KIND, np.int8)
    is_null = indices.is_null().to_numpy(zero_copy_only=False) if indices.null_count else None
    if is_null is not None:
        out[is_null] = UNKNOWN_KIND
    if not tolerant and (is_null is not None or UNKNOWN_KIND in codes):
        bad = np.flatnonzero(out == UNKNOWN_KIND)
        if len(bad):
            row = int(bad[0])
            raise InputError(
                f"{path}: row {first_row + row:,}: kind is {column[row].as_py()!r}, expected one of "
                f"{', '.join(KINDS)}; 'pipeline doctor' counts all such rows"
            )
    # Without Arrow's check, because tolerant readers accept the code UNKNOWN_KIND.
    return pa.DictionaryArray.from_arrays(pa.array(out), _KIND_DICTIONARY, safe=False)
