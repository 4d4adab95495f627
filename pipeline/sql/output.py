"""Query results as text (a rounded table, or CSV and JSON at full precision) and as Parquet files.

Results about locks are also available in the forms of lockmeter and /proc/lock_stat.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.errors import UsageError, unknown_name
from pipeline.io.files import complete_file
from pipeline.io.numbers import format_number
from pipeline.io.tables import align_columns
from pipeline.sql.lock_tables import FORMS

_PLAN = ["explain_key", "explain_value"]
FORMATS = ("table", "csv", "json", "parquet", *FORMS)


def format_frame(frame: pl.DataFrame, form: str) -> str:
    """Write a frame as `table`, `csv`, `json` (a list of objects) or one of `lock_tables.FORMS`.

    The text ends in a newline. Raises UsageError for a frame without the columns that a form requires.
    """
    if form in FORMS:
        return FORMS[form](frame)
    if form == "table":
        # The result of EXPLAIN is a drawing, which does not fit into a table.
        return "\n".join(frame["explain_value"]) if frame.columns == _PLAN else format_table(frame)
    if form == "csv":
        return nested_to_json(frame).write_csv()
    return frame.write_json() + "\n"


def write_frame(frame: pl.DataFrame, form: str, path: Path) -> None:
    """Write a frame to a file, atomically."""
    with complete_file(path) as temporary:
        if form == "parquet":
            frame.write_parquet(temporary)
        else:
            temporary.write_text(format_frame(frame, form), encoding="utf-8")


def check_format(form: str, path: Path | None) -> str:
    """Check that `form` is known, and that Parquet has an output file."""
    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    if form == "parquet" and path is None:
        raise UsageError("format 'parquet' is binary; choose a file with --output FILE")
    return form


# Numbers that are identifiers have no thousands separators.
IDENTITIES = frozenset(
    ("op", "task", "process", "page", "slot", "cpu", "cpu_map", "cpu_unmap", "holder", "flush_op", "other",
     "seed", "woken_by", "mostly_woken_by", "queue")
)  # fmt: skip


def format_cell(column: str, value: Any, digits: int = 4) -> str:
    """Write a cell for display; identifiers, such as task numbers, have no thousands separators."""
    if value is None:
        return ""
    return str(value) if column in IDENTITIES else format_number(value, digits)


def format_table(frame: pl.DataFrame) -> str:
    """Align a frame's columns under their names, numbers to the right; "(no rows)" if it is empty."""
    columns = []
    for name in frame.columns:
        cells = [format_cell(name, value).replace("\n", " ") for value in frame[name].to_list()]
        columns.append([name, "-" * max(len(name), *map(len, cells), 0), *cells])
    right = [position for position, kind in enumerate(frame.dtypes) if kind.is_numeric()]
    return align_columns(zip(*columns, strict=True), right) + ("(no rows)\n" if frame.is_empty() else "")


def nested_to_json(frame: pl.DataFrame) -> pl.DataFrame:
    """Write lists and structs, which CSV cannot hold, as JSON text."""
    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    if not nested:
        return frame
    rows = [json.loads(line) for line in frame.select(nested).write_ndjson().splitlines()]
    return frame.with_columns(pl.Series(name, [json.dumps(row[name]) for row in rows]) for name in nested)
