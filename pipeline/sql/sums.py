"""Views that a run may have in its sums (`pipeline.runs.sums`), so its log need not be read for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.runs.store import Recording, Run
from pipeline.schema.manifest import SUMS_FOLDER
from pipeline.sql.log_tables import ReadFiles, files_select
from pipeline.sql.quoting import literal
from pipeline.sql.views import View


def sums_file(view: View, found: Run | Recording) -> Path | None:
    """Return the file of a view in a run's sums, or None."""
    if not view.summed or isinstance(found, Recording):
        return None
    file = found.directory / SUMS_FOLDER / f"{view.name}.parquet"
    linked = file.is_symlink() or file.parent.is_symlink()
    return file if file.is_file() and not linked else None


def view_select(view: View, runs: Sequence[Run | Recording], read: ReadFiles) -> str:
    """Make the SELECT of a view that is made of others: from the runs' sums, else by its SQL."""
    assert view.sql is not None
    columns = [column.name for column in view.columns[1:]]
    parts, others = [], []
    for found in runs:
        file = sums_file(view, found)
        if file is None or isinstance(found, Recording):
            others.append(literal(found.name))
        else:
            parts.append(files_select(found, columns, [file], read))
    if not parts:
        return view.sql
    if others:
        parts.append(f"SELECT run, {', '.join(columns)} FROM ({view.sql}) WHERE run IN ({', '.join(others)})")
    return " UNION ALL ".join(parts)
