"""Sorting of a trace's rows by time with DuckDB, on disk if memory is too small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schema.trace import ROW_GROUP_ROWS
from pipeline.trace.transform.step import Columns

_MEMORY = "512MB"


def sort_by_time(rows: Iterator[Columns], scratch: Path) -> Iterator[Columns]:
    """Yield rows in order of (time_ns, task, seq), without `seq`, with temporary files in `scratch`.

    If mappings have rows of their own for map and unmap, the order is (time_ns, seq), because the two rows
    can have the same time and different tasks.
    """
    unsorted = scratch / "unsorted.parquet"
    writer: pq.ParquetWriter | None = None
    names: list[str] = []
    try:
        for columns in rows:
            names = [name for name in columns if name != "seq"]
            table = pa.table(columns)
            writer = writer or pq.ParquetWriter(
                unsorted, table.schema, compression="zstd", compression_level=1
            )
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        return
    with duckdb.connect(
        config={"memory_limit": _MEMORY, "temp_directory": str(scratch / "sorting")}
    ) as session:
        keys = "time_ns, seq" if "mapping" in names else "time_ns, task, seq"
        relation = session.sql(
            f"SELECT {', '.join(names)} FROM read_parquet($file) ORDER BY {keys}",
            params={"file": str(unsorted)},
        )
        for batch in relation.to_arrow_reader(ROW_GROUP_ROWS):
            yield {name: batch.column(name).to_numpy() for name in names}
    unsorted.unlink()
