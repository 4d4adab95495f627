"""The kernel's kmap pool as raw events, in the order in which the kernel's lock let them happen."""

from __future__ import annotations

from pathlib import Path

from pipeline.importing.importer import ImportedRows, Importer, ReadOptions, has_columns
from pipeline.importing.kmap_pool.operations import import_events
from pipeline.importing.kmap_pool.recordings import NEEDED_COLUMNS, read_pool_events


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path`; `options.threads` says that its tasks share an address space.

    Raises InputError when the file is not of this format.
    """
    return import_events(read_pool_events(path), options.threads)


IMPORTER = Importer(
    "kernel-pool-kmap",
    "the kernel's kmap pool, raw events (*.kmap.parquet)",
    has_columns((*NEEDED_COLUMNS, "time_ns")),
    _read_recording,
)
