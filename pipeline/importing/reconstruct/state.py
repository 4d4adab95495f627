"""State between events: tables for compiled code, which grow between blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.importing.hashing import ENTRY, rehash
from pipeline.importing.reconstruct.hold_lengths import load_holds
from pipeline.jit.tables import Tables, records
from pipeline.schema.trace import COLUMN_NAMES


def _record(*fields: str) -> np.dtype:
    return np.dtype([(name, "i8") for field in fields for name in field.split()])


# A task. Times are pairs: `_t` is the clock, and `_c` the CPU time that the task had used by then.
TASK = _record(
    # The task, its process (`owner`) and its number in the trace (-1: none yet), the hash of its command.
    "tid owner number comm",
    # 0: its start was not recorded. 1: forked, and 2: created as a thread, until its own first event; then
    # -1.
    "born",
    # Whether its lines contain its process.
    "has_process",
    # CPU time at t is used + (t - since); since is -1 while off CPU. Time of its latest event, and the
    # recorded time of it, which differ for a whole call, since that includes its return.
    "used since latest said on_cpu",
    # End of its latest outermost operation; end_t is -1 before the first.
    "end_t end_c",
    # Its current system call, NO_CALL if none, the call's arguments, and whether the call was written.
    "call call_t call_fd call_count call_at call_buffer call_file call_made",
    # The current copy: copy_file from byte copy_start up to copy_last. The bytes before copy_at were copied
    # by mark. A loose copy ends with the task's next event.
    "copying copy_file copy_start copy_at copy_last copy_kind copy_slept copy_loose mark_t mark_c",
    # The page of that copy that has nested operations and cannot be written yet; nest is the end of the
    # latest nested operation.
    "page_open page_seq page_t page_c page_think page_wait nest_t nest_c",
    # A mapping without a recorded end, as of a fault: it ends after its drawn hold, or with the task's next
    # event if that is earlier.
    "brief brief_seq brief_t brief_c brief_hold brief_think brief_wait brief_depth brief_page brief_kind",
)
# A process: its number in the trace (-1: none yet), its number of images, the process that forked it (-1),
# the hash of its working directory (0: the initial one), the process with its table of descriptors, and the
# first entry (-1: none) and the length of such a table.
PROCESS = _record("number image parent directory table first_fd fds")
# An entry of a table of descriptors: its description (-1: closed), and the table's next entry.
DESCRIPTOR = _record("fd description close_on_exec next")
# An open file description: its file (0: unknown), position in bytes, whether the position is known, and
# whether writes append.
DESCRIPTION = _record("file at known append")
# A row of the trace; `seq` orders rows with equal times.
ROW = _record("seq", *COLUMN_NAMES)
# Single values: the used and available entries of each table, global state, and counts for the metadata.
TOTALS = _record(
    "n_tasks n_processes n_descriptors n_descriptions n_pages n_rows n_entries places room",
    "page_bits span_bits seq clock first_time task_numbers process_numbers one_process written_up_to",
    "switches exec_events largest_cpu lost_count lost_unknown lost_said entries_open exits_alone cut_by_end",
    "clock_steps tasks_unborn execs_by_name fds_before no_identity directories splices forks execs",
    "cloner cloner_before other_calls switches_back moved kernel_reads faults copies owners_unknown",
)


def new_state(one_process: bool, page_bytes: int, span_bytes: int) -> Tables:
    """Create the tables for a recording.

    `entries` is the map of `hashing` for task numbers, process numbers, descriptors and pages. `holds` are
    the quantiles of `load_holds`.
    """
    totals: Any = records(1, TOTALS)
    totals.one_process = one_process
    totals.page_bits, totals.span_bits = page_bytes.bit_length() - 1, span_bytes.bit_length() - 1
    totals.largest_cpu = totals.first_time = totals.cloner = totals.cloner_before = -1
    totals.written_up_to = np.iinfo(np.int64).min
    totals.places, totals.room = 1 << 12, 1 << 14
    return Tables(
        checked=False,
        totals=totals,
        tasks=records(1 << 10, TASK),
        processes=records(1 << 10, PROCESS),
        descriptors=records(1 << 10, DESCRIPTOR),
        descriptions=records(1 << 10, DESCRIPTION),
        entries=records(1 << 12, ENTRY),
        rows=records(1 << 14, ROW),
        holds=load_holds().ravel(),
    )


def grow(state: Tables, events: int, pages: int) -> None:
    """Make room for `events` more events, one of which adds at most `pages` rows."""
    totals = state.totals[0]
    # An event can name two new tasks, each of a new process, open two descriptors and set two sizes. The
    # descriptors that a fork copies count as pages.
    most = int(totals.n_entries) + 8 * events + pages
    if 2 * most > totals.places:
        old, places = Tables(checked=False, entries=state.entries), int(totals.places)
        totals.places = 1 << (2 * most).bit_length()
        state.rebind("entries", records(int(totals.places), ENTRY))
        rehash(state, old, places)
    _lengthen(state, "tasks", int(totals.n_tasks) + 2 * events)
    _lengthen(state, "processes", int(totals.n_processes) + 2 * events)
    _lengthen(state, "descriptors", int(totals.n_descriptors) + 2 * events + pages)
    _lengthen(state, "descriptions", int(totals.n_descriptions) + 2 * events)
    _lengthen(state, "rows", pages + 4)
    totals.room = len(state.rows)


def _lengthen(state: Tables, name: str, length: int) -> None:
    table = getattr(state, name)
    if length > len(table):
        longer = records(1 << length.bit_length(), table.dtype)
        longer[: len(table)] = table
        state.rebind(name, longer)
