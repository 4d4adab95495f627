"""Mappings by kmap_local and pte_offset_map of a running kernel, with their callers."""

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
from pipeline.importing.mappings import (
    FIRST_NOTE,
    HOLD_SPLIT,
    THINK_SPLIT,
    Mappings,
    arrange,
    process_note,
)

_COLUMNS = ("time_ns", "hold_ns", "cpu", "pid", "caller", "syscall", "pfn", "depth")


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path`; with `options.threads`, its tasks share an address space.

    The recorded depth is checked against the intervals. A mapping that was recorded as nested but is not
    inside another mapping of its task becomes an outermost mapping and is counted in the notes.
    Raises InputError if the file does not have this format.
    """
    table = read_columns(path, _COLUMNS, "a recording of kmap_local mappings, one row each")
    begin_ns = integers(table, "time_ns")
    recorded_depth = integers(table, "depth")
    mappings = Mappings(
        task_id=integers(table, "pid"),
        begin_ns=begin_ns,
        mapped_ns=begin_ns,
        end_ns=begin_ns + integers(table, "hold_ns"),
        cpu=integers(table, "cpu"),
        kind=classify_callers(table.column("caller"), table.column("syscall")),
        page_id=integers(table, "pfn"),
    )
    arranged = arrange(mappings, THINK_SPLIT, HOLD_SPLIT, options.threads)
    depth = arranged.rows["depth"]
    recorded = recorded_depth[arranged.source_row]
    notes = [
        process_note(options.threads),
        THINK_SPLIT.note("the interval between a task's mappings", "think_ns", "wait_ns")
        + "; user code runs in this interval, so think_ns is more likely too long than too short",
        HOLD_SPLIT.note("a mapping, less the mappings nested in it", "hold_ns", "block_ns"),
        "time_ns is the time of the map; the recording lacks the time of the request, which for kmap_local "
        "is less than 1 us earlier",
        FIRST_NOTE,
        "page numbers identify page frames, so a frame that was freed and reused is the same page",
        "cpus is 1 + the largest recorded CPU number",
    ]
    for count, what in (
        (int(np.sum(recorded > depth)), "less deeply nested than recorded: no enclosing mapping was found"),
        (
            int(np.sum(recorded < depth)),
            "more deeply nested than recorded: they lie within the time of another mapping",
        ),
    ):
        if count:
            notes.append(f"{count:,} operations are {what}")
    return ImportedRows(
        rows=arranged.rows,
        columns={
            "time_ns": "measured", "task": "measured", "process": "assumed", "cpu": "measured",
            "kind": "derived", "page": "measured", "bytes": "absent", "think_ns": "derived",
            "wait_ns": "derived", "hold_ns": "derived", "block_ns": "derived", "depth": "measured",
        },
        clock="the kernel's tracing clock, converted to nanoseconds by the recorder",
        recorder="kprobes in kmap_local and kunmap_local, tracefs",
        rows_in=table.num_rows,
        cpus=int(mappings.cpu.max()) + 1,
        dropped=arranged.dropped,
        notes=notes,
    )  # fmt: skip


IMPORTER = Importer(
    "kmap-local",
    "kmap_local mappings of a running kernel, one row per mapping (*.records.parquet)",
    has_columns(_COLUMNS),
    _read_recording,
)
