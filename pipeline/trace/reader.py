"""Reading a trace: one row group at a time, as Arrow batches with columns that NumPy uses without a copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError, one_line
from pipeline.io.files import regular_file
from pipeline.io.parquet import DAMAGE, parquet_errors, read_metadata
from pipeline.io.parquet_footer import Struct, column_maximum, read_footer
from pipeline.schema.trace import (
    COLUMN_NAMES,
    NAMED_VALUES,
    NULL_VALUES,
    OPTIONAL_NAMES,
    ROW_GROUP_ROWS,
    arrow_schema,
)
from pipeline.schema.trace_metadata import METADATA_KEY, TraceMetadata
from pipeline.trace.file_checks import check_columns, check_optional_columns, parse_metadata
from pipeline.trace.lock_text import find_format, say_no_trace

UNKNOWN_NAME = -1

# Bytes read from a file that is not a trace to detect its format.
_SNIFFED_BYTES = 1 << 16
_DICTIONARIES = {name: pa.array(values) for name, values in NAMED_VALUES.items()}


class Trace:
    """A trace file opened for reading. Rows are read when `batches` is consumed, and can be read repeatedly.

    `path` is the file, `metadata` its metadata, `rows` its number of rows, and `columns` the names of its
    columns: those of every trace, then the optional ones.
    """

    def __init__(self, path: Path, metadata: TraceMetadata, parquet: pq.FileMetaData) -> None:
        """Create the object. Use `open_trace`, which checks the arguments."""
        self.path = path
        self.metadata = metadata
        self.rows: int = parquet.num_rows
        self.columns = (*COLUMN_NAMES, *(name for name in OPTIONAL_NAMES if name in parquet.schema.names))
        self._parquet = parquet

    @property
    def has_parts(self) -> bool:
        """Whether mappings can have rows of their own for map and unmap."""
        return "part" in self.columns

    def count_page_numbers(self) -> int:
        """Return 1 + the largest page number of any mapping, from the metadata if lengths are needed for it.

        `TraceCheck` detects wrong metadata and statistics. Raises InputError for damaged statistics.
        """
        return self.metadata.pages if "pages" in self.columns else self.maximum("page") + 1

    def batches(
        self, columns: Sequence[str] | None = None, rows: int = ROW_GROUP_ROWS, threads: bool = True
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows in file order, at most `rows` at a time, in memory bounded by one row group.

        With `threads`, columns are decoded in parallel; otherwise the calling thread decodes them.

        The batches have the types of the schema; `kind` is a dictionary with the values KINDS in order, and
        `part` one with PARTS and without nulls. `columns` selects and orders the columns (default: all);
        optional columns that the trace lacks are left out. Raises InputError for an unknown kind or part,
        with its row (from 0), and for data that cannot be decoded.
        """
        return self._batches(columns, rows, threads, tolerant=False)

    def tolerant_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows like `batches`, but with the code UNKNOWN_NAME for unknown names and null kinds."""
        return self._batches(None, ROW_GROUP_ROWS, threads=True, tolerant=True)

    def maximum(self, column: str) -> int:
        """Return the largest value of an integer column, -1 without rows. Uses Parquet statistics if present.

        An optional column that the trace lacks has the value in NULL_VALUES. `TraceCheck` detects wrong
        statistics. Raises InputError for damaged ones.
        """
        if column in OPTIONAL_NAMES:
            return self._maximum_of_optional(column)
        with parquet_errors(self.path, "a trace"):
            return self._maximum(column)

    def _maximum_of_optional(self, column: str) -> int:
        if self.rows == 0:
            return -1
        found = -1
        if column in self.columns:
            with parquet_errors(self.path, "a trace"):
                found = self._maximum(column)
        return max(found, NULL_VALUES[column])

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
        wanted = self.columns if columns is None else columns
        names = [name for name in wanted if name in self.columns or name not in OPTIONAL_NAMES]
        schema = arrow_schema(names)
        first_row = 0
        try:
            # pre_buffer would keep every fetched row group until the file is closed.
            with pq.ParquetFile(
                self.path,
                metadata=self._parquet,
                read_dictionary=[name for name in NAMED_VALUES if name in self.columns],
                pre_buffer=False,
            ) as file:
                for batch in file.iter_batches(rows, columns=names, use_threads=threads):
                    arrays = [
                        _named_column(batch.column(name), name, first_row, self.path, tolerant)
                        if name in NAMED_VALUES
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
    check_columns(path, schema)
    if text is None:
        raise InputError(
            f"{path}: expected a trace, found its columns without its metadata; convert it with "
            f"'pipeline import {path} -o NEW.parquet'"
        )
    metadata = parse_metadata(path, text)
    check_optional_columns(path, schema, metadata)
    return Trace(path, metadata, parquet)


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

    For `kind` and `part`, return their int8 codes, which are positions in KINDS and PARTS. A column without
    nulls is not copied. In a nullable column, null becomes the value in NULL_VALUES. Raises InputError for a
    null in any other column.
    """
    column = batch.column(name)
    if name in NAMED_VALUES and pa.types.is_dictionary(column.type):
        column = column.indices
    if column.null_count == 0:
        return column.to_numpy()
    if name not in NULL_VALUES:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise InputError(
            f"column '{name}' of a trace is null at row {row} of its batch, where a value is required; "
            "'pipeline doctor' counts all such rows"
        )
    return column.fill_null(NULL_VALUES[name]).to_numpy()


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


def _named_column(
    column: pa.Array, name: str, first_row: int, path: Path, tolerant: bool
) -> pa.DictionaryArray:
    """Recode a string or dictionary column to int8 codes into NAMED_VALUES, in any order in the file."""
    known = NAMED_VALUES[name]
    # Arrow can decode damaged bytes to an invalid column.
    column.validate(full=True)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    names = column.dictionary.to_pylist()
    if column.null_count == 0 and column.type.index_type == pa.int8() and tuple(names) == known[: len(names)]:
        if len(names) == len(known):
            return column
        return pa.DictionaryArray.from_arrays(column.indices, _DICTIONARIES[name], safe=False)
    code_of = {text: code for code, text in enumerate(known)}
    codes = np.array([code_of.get(text, UNKNOWN_NAME) for text in names], np.int8)
    null_code = NULL_VALUES.get(name, UNKNOWN_NAME)
    indices = column.indices
    found = indices.fill_null(0).to_numpy() if indices.null_count else indices.to_numpy()
    out = codes[found] if len(codes) else np.full(len(found), null_code, np.int8)
    if indices.null_count:
        out[indices.is_null().to_numpy(zero_copy_only=False)] = null_code
    if not tolerant:
        bad = np.flatnonzero(out == UNKNOWN_NAME)
        if len(bad):
            row = int(bad[0])
            raise InputError(
                f"{path}: row {first_row + row:,}: {name} is {column[row].as_py()!r}, expected one of "
                f"{', '.join(known)}; 'pipeline doctor' counts all such rows"
            )
    # Without Arrow's check, because tolerant readers accept the code UNKNOWN_NAME.
    return pa.DictionaryArray.from_arrays(pa.array(out), _DICTIONARIES[name], safe=False)
