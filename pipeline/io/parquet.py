"""Opening Parquet files: whatever is damaged in one, reading it ends with one error that names the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError, one_line
from pipeline.io.files import regular_file

# What Arrow raises for damaged bytes, by where they are: ValueError is for names that are no UTF-8 too.
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
    """Turn what reading a damaged file raises into InputError; `wanted` says what file it should be."""
    try:
        yield
    except DAMAGE as error:
        raise InputError(
            f"{path}: wanted {wanted}, but it cannot be read as Parquet ({one_line(error)}); it is another "
            "format, cut short or damaged: copy it again, or make it again"
        ) from error


def read_metadata(path: Path, wanted: str) -> tuple[pq.FileMetaData, pa.Schema]:
    """Read a file's metadata and its columns.

    Raises InputError when there is no such file, or it is not Parquet, cut short, damaged, or does not agree
    with itself.
    """
    regular_file(path, wanted)
    with parquet_errors(path, wanted):
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
        rows = sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    if rows != metadata.num_rows:
        raise InputError(
            f"{path}: wanted {wanted}, but it says that it has {metadata.num_rows:,} rows, and its row "
            f"groups {rows:,}; it is damaged: copy it again, or make it again"
        )
    return metadata, schema


def read_table(path: Path, wanted: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a file, or some of its columns, whole. Raises InputError as `read_metadata`."""
    metadata, _ = read_metadata(path, wanted)
    with parquet_errors(path, wanted):
        table = pq.read_table(path, columns=None if columns is None else list(columns))
        table.validate(full=True)
    if table.num_rows != metadata.num_rows:
        raise InputError(
            f"{path}: wanted {wanted} with {metadata.num_rows:,} rows, found {table.num_rows:,}; it is "
            "damaged: copy it again, or make it again"
        )
    return table
