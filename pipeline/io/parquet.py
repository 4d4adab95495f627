"""Reader of Parquet files that reports any damage as one error with the file's name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError, one_line
from pipeline.io.files import regular_file

# Exceptions of Arrow for damaged bytes, depending on their place; names that are not UTF-8: ValueError.
DAMAGE = (
    OSError,
    pa.ArrowException,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    RuntimeError,
)


@contextmanager
def parquet_errors(path: Path, wanted: str) -> Iterator[None]:
    """Convert exceptions of reading a damaged file to InputError; `wanted` describes the expected file."""
    try:
        yield
    except DAMAGE as error:
        raise InputError(
            f"{path}: expected {wanted}, but it cannot be read as Parquet ({one_line(error)}); it is in "
            "another format, truncated or damaged: copy or create it again"
        ) from error


def read_metadata(path: Path, wanted: str) -> tuple[pq.FileMetaData, pa.Schema]:
    """Read a file's metadata and schema.

    Raises InputError if the file does not exist, is not Parquet, is truncated or damaged, or is inconsistent.
    """
    regular_file(path, wanted)
    with parquet_errors(path, wanted):
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
        rows = sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    if rows != metadata.num_rows:
        raise InputError(
            f"{path}: expected {wanted}, but its footer counts {metadata.num_rows:,} rows, and its row "
            f"groups have {rows:,}; it is damaged: copy or create it again"
        )
    return metadata, schema


def read_table(path: Path, wanted: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read all rows of a file, or of some of its columns. Raises InputError as `read_metadata` does."""
    metadata, _ = read_metadata(path, wanted)
    with parquet_errors(path, wanted):
        table = pq.read_table(path, columns=None if columns is None else list(columns))
        table.validate(full=True)
    if table.num_rows != metadata.num_rows:
        raise InputError(
            f"{path}: expected {wanted} with {metadata.num_rows:,} rows, found {table.num_rows:,}; it is "
            "damaged: copy or create it again"
        )
    return table
