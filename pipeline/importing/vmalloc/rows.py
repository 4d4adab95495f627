"""The rows of a trace from a recording of vmalloc: one for each allocation, one for each free of its area."""

from __future__ import annotations

import numpy as np

from pipeline.errors import InputError
from pipeline.importing.importer import ImportedRows, Rows
from pipeline.importing.mappings import FIRST_NOTE, THINK_SPLIT, number_by_appearance, process_note
from pipeline.importing.vmalloc.recording import ALLOCATED, FREED, VmallocRecording
from pipeline.io.numbers import format_count
from pipeline.schema import codes
from pipeline.schema.names import KINDS
from pipeline.schema.trace import MAX_LENGTH, MAX_PAGE, MAX_TASKS
from pipeline.schema.trace_metadata import Provenance
from pipeline.trace.losses import LOST_UNKNOWN

# The last page of an area has no translation: the kernel adds it to most areas, and counts it in their size.
_GUARD_PAGES = 1

_COLUMNS: dict[str, Provenance] = {
    "time_ns": "measured", "task": "measured", "process": "assumed", "cpu": "measured", "kind": "measured",
    "page": "assumed", "bytes": "absent", "think_ns": "derived", "wait_ns": "derived", "hold_ns": "absent",
    "block_ns": "absent", "depth": "derived", "pages": "derived", "part": "measured", "mapping": "derived",
}  # fmt: skip
_NOTES = (
    "which pages an area maps is not recorded; each area is assumed to have pages of its own",
    "pages is the recorded size less one guard page, which the kernel adds to most areas",
    "when an area was used is not recorded; hold_ns and block_ns are 0",
)


def to_rows(recording: VmallocRecording, one_process: bool) -> ImportedRows:
    """Make rows with the parts `map` and `unmap`, in the order of the recording.

    A free of an area that was allocated before the recording has no row. An area that is allocated again
    without a recorded free stays mapped. Raises InputError if there is no allocation, or if there are more
    than MAX_TASKS tasks.
    """
    kept, number, lost = _follow(recording)
    is_map = recording.event[kept] == ALLOCATED
    if not is_map.any():
        raise InputError("the recording contains no allocation of an area; record again, for longer")
    length = np.zeros(int(number.max()) + 1, np.int64)
    length[number[is_map]] = np.maximum(recording.pages[kept[is_map]] - _GUARD_PAGES, 1)
    if int(length.max()) > MAX_LENGTH:
        raise InputError(
            f"found an area of {int(length.max()):,} pages, but an area has at most {MAX_LENGTH:,}; the "
            "recording is damaged: copy it again"
        )
    begin = np.cumsum(length) - length
    # Numbers of pages start again before they become too large.
    first = np.where(begin % MAX_PAGE + length > MAX_PAGE, 0, begin % MAX_PAGE)
    time_ns = recording.time_ns[kept]
    task = number_by_appearance(recording.task[kept]).astype(np.int32)
    if int(task.max()) >= MAX_TASKS:
        raise InputError(
            f"the recording has {int(task.max()) + 1:,} tasks, but a trace can have at most {MAX_TASKS:,}; "
            "import a part of it"
        )
    gap_ns = _gaps(task, time_ns)
    think_ns = THINK_SPLIT.cpu_ns(gap_ns)
    zeros = np.zeros(len(kept), np.int64)
    rows: Rows = {
        "time_ns": time_ns - time_ns[0],
        "task": task,
        "process": np.zeros_like(task) if one_process else task,
        "cpu": recording.cpu[kept].astype(np.int16),
        "kind": np.full(len(kept), KINDS.index("vmap"), np.int8),
        "page": first[number],
        "bytes": np.full(len(kept), -1, np.int32),
        "think_ns": think_ns,
        "wait_ns": gap_ns - think_ns,
        "hold_ns": zeros,
        "block_ns": zeros,
        "depth": zeros.astype(np.int8),
        "pages": length[number].astype(np.int32),
        "part": np.where(is_map, codes.PART_MAP, codes.PART_UNMAP).astype(np.int8),
        "mapping": number,
    }
    columns = _COLUMNS | ({"cpu": "absent"} if recording.cpus is None else {})
    notes = [
        THINK_SPLIT.note("the time between two events of a task", "think_ns", "wait_ns"),
        FIRST_NOTE, process_note(one_process), *_NOTES,
    ]  # fmt: skip
    if recording.lost is None and "gaps" not in recording.losses:
        notes.append(LOST_UNKNOWN)
    if recording.failed:
        notes.append(f"{format_count(recording.failed, 'allocation')} failed and have no row")
    notes += recording.notes
    return ImportedRows(
        rows=rows,
        columns=columns,
        clock=recording.clock,
        recorder=f"tracepoints vmalloc:*, {recording.recorder}",
        rows_in=len(recording.event),
        cpus=recording.cpus,
        lost_events=recording.lost,
        notes=notes,
        losses=recording.losses | lost,
    )


def _follow(recording: VmallocRecording) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Find the events that have a row, the number of the mapping of each, and what is lost."""
    chosen, numbers = [], []
    live: dict[int, int] = {}
    frees_alone = again = mappings = 0
    events = zip(recording.event.tolist(), recording.first.tolist(), strict=True)
    for row, (event, first) in enumerate(events):
        if event == ALLOCATED:
            again += first in live
            live[first] = mappings
            numbers.append(mappings)
            mappings += 1
        elif event == FREED and first in live:
            numbers.append(live.pop(first))
        else:
            frees_alone += event == FREED
            continue
        chosen.append(row)
    lost = {"frees_alone": frees_alone, "frees_missing": again}
    return (
        np.array(chosen, np.int64),
        np.array(numbers, np.int64),
        {name: count for name, count in lost.items() if count},
    )


def _gaps(task: np.ndarray, time_ns: np.ndarray) -> np.ndarray:
    """Time since the task's previous row, 0 for its first; int64 in ns."""
    order = np.argsort(task, kind="stable")
    gaps = np.diff(time_ns[order], prepend=0)
    gaps[np.diff(task[order], prepend=-1) != 0] = 0
    found = np.empty_like(gaps)
    found[order] = gaps
    return found
