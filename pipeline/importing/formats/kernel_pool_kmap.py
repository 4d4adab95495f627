"""Raw events of the kernel's kmap pool, in the order in which tasks held the pool's lock."""

from __future__ import annotations

from pathlib import Path

from pipeline.importing.importer import ImportedRows, Importer, ReadOptions, has_columns
from pipeline.importing.kmap_pool.operations import import_events
from pipeline.importing.kmap_pool.recordings import NEEDED_COLUMNS, read_pool_events


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path`; with `options.threads`, its tasks share an address space.

    Raises InputError if the file does not have this format.
    """
    return import_events(read_pool_events(path), options.threads)


IMPORTER = Importer(
    "kernel-pool-kmap",
    "raw events of the kernel's kmap pool (*.kmap.parquet)",
    has_columns((*NEEDED_COLUMNS, "time_ns")),
    _read_recording,
)
