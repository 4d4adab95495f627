"""The kernel's kmap pool as raw events, in the order in which the kernel's lock let them happen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.importing.importer import ImportedRows, Importer, ReadOptions, has_columns
from pipeline.importing.kmap_pool.events import ENTER, MAPPED, NONE, UNMAPPED
from pipeline.importing.kmap_pool.operations import import_events
from pipeline.importing.kmap_pool.recordings import read_parquet

_COLUMNS = ("seq", "time_ns", "cpu", "pid", "ev", "page", "caller")


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path`; `options.threads` says that its tasks share an address space.

    Raises InputError when the file is not of this format.
    """
    events = read_parquet(path, _COLUMNS)
    lacking = np.flatnonzero(np.isin(events.code, (ENTER, MAPPED, UNMAPPED)) & (events.page == NONE))
    if len(lacking):
        raise InputError(
            f"column 'page' is null at row {int(lacking[0]):,}, where a number was wanted; mend the recording"
        )
    return import_events(events, options.threads)


IMPORTER = Importer(
    "kernel-pool-kmap",
    "the kernel's kmap pool, raw events (*.kmap.parquet)",
    has_columns(_COLUMNS),
    _read_recording,
)
