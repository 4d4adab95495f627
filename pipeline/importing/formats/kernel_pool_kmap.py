"""The kernel's kmap pool as raw events, in the order in which the kernel's lock let them happen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.importing.callers import kind_codes
from pipeline.importing.importer import (
    ImportedRows,
    Importer,
    ReadOptions,
    has_columns,
    integers,
    read_columns,
    strings,
)
from pipeline.importing.kmap_pool.operations import imported_pool, pair_events
from pipeline.importing.mappings import Mappings

_COLUMNS = ("seq", "time_ns", "cpu", "pid", "ev", "page", "caller")


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path`; `options.threads` says that its tasks share an address space.

    A task's "ke" (entered), "km" (mapped) and "ku" (unmapped) of one page make an operation, the latest
    first; the pool's own events (scans, flushes, sleeps) are the allocator's doing and not part of a trace.
    Raises InputError when the file is not of this format.
    """
    table = read_columns(path, _COLUMNS, "raw events of the kmap pool")
    rows_in = table.num_rows
    table = table.filter(np.isin(np.array(strings(table, "ev"), object), ["ke", "km", "ku"])).sort_by("seq")
    pairs = pair_events(
        strings(table, "ev"),
        integers(table, "pid").tolist(),
        integers(table, "page").tolist(),
    )
    time_ns = integers(table, "time_ns")
    entered, mapped, unmapped = (np.array(rows, np.int64) for rows in (pairs.ke, pairs.km, pairs.ku))
    # The recorder's order of mapping, as in the other form of the same recording.
    order = np.argsort(mapped)
    entered, mapped, unmapped = entered[order], mapped[order], unmapped[order]
    callers = strings(table, "caller")
    mappings = Mappings(
        task_id=integers(table, "pid")[entered],
        begin_ns=time_ns[entered],
        mapped_ns=time_ns[mapped],
        end_ns=time_ns[unmapped],
        cpu=integers(table, "cpu")[mapped],
        kind=kind_codes([callers[row] for row in entered]),
        page_id=integers(table, "page")[entered],
    )
    return imported_pool(mappings, rows_in, pairs.dropped, options.threads)


IMPORTER = Importer(
    "kernel-pool-kmap",
    "the kernel's kmap pool, raw events (*.kmap.parquet)",
    has_columns(_COLUMNS),
    _read_recording,
)
