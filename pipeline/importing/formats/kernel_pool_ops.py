"""Mappings of the kernel's kmap pool: times of request, map and unmap, with task, caller and page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.importing.callers import classify_callers
from pipeline.importing.importer import (
    ImportedRows,
    Importer,
    ReadOptions,
    has_columns,
    integers,
    read_columns,
)
from pipeline.importing.kmap_pool.operations import import_mappings
from pipeline.importing.mappings import Mappings

_COLUMNS = ("t_enter", "t_mapped", "t_unmapped", "cpu", "pid", "caller", "page", "seq_map")


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path`; with `options.threads`, its tasks share an address space.

    A mapping without a map or unmap time was in progress at the end of the recording and is dropped.
    Raises InputError if the file does not have this format.
    """
    table = read_columns(path, _COLUMNS, "a recording of the kmap pool, one row per mapping")
    rows_in = table.num_rows
    whole = np.ones(rows_in, np.bool_)
    for name in ("t_mapped", "t_unmapped"):
        whole &= table.column(name).is_valid().to_numpy()
    table = table.filter(whole).sort_by("seq_map")
    mappings = Mappings(
        task_id=integers(table, "pid"),
        begin_ns=integers(table, "t_enter"),
        mapped_ns=integers(table, "t_mapped"),
        end_ns=integers(table, "t_unmapped"),
        cpu=integers(table, "cpu"),
        kind=classify_callers(table.column("caller")),
        page_id=integers(table, "page"),
    )
    return import_mappings(
        mappings,
        rows_in,
        {"the recording ends before the unmap": rows_in - int(whole.sum())},
        options.threads,
    )


IMPORTER = Importer(
    "kernel-pool-ops",
    "mappings of the kernel's kmap pool, one row each (*.ops.parquet)",
    has_columns(_COLUMNS),
    _read_recording,
)
