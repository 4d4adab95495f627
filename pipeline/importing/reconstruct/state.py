"""What is remembered between events: tables for compiled code, which grow between blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.importing.hashing import ENTRY, rehash
from pipeline.importing.reconstruct.hold_lengths import load_holds
from pipeline.jit.tables import Tables, records
from pipeline.schema.trace import COLUMN_NAMES


def _record(*fields: str) -> np.dtype:
    return np.dtype([(name, "i8") for field in fields for name in field.split()])


# A task. Times come in pairs: `_t` of the clock, `_c` the CPU time that the task had used by then.
TASK = _record(
    # The task, its process (`owner`) and its number in the trace (-1: none yet), the hash of its command.
    "tid owner number comm",
    # 0 its beginning was not recorded; 1 from its fork, 2 from its making as a thread, until its own first
    # event; then -1.
    "born",
    # Whether its lines tell its process.
    "has_process",
    # CPU time at t is used + (t - since); since is -1 while it is off its CPU. When its latest event was, and
    # what that said: a whole call tells its return too.
    "used since latest said on_cpu",
    # When its latest outermost operation ended; end_t -1: it has had none.
    "end_t end_c",
    # The system call it is in, NO_CALL if none, and that call's arguments; whether it was written.
    "call call_t call_fd call_count call_at call_buffer call_file call_made",
    # The copy under way: of copy_file from byte copy_start up to copy_last; bytes before copy_at are done, at
    # mark. Loose: it ends with the task's next event.
    "copying copy_file copy_start copy_at copy_last copy_kind copy_slept copy_loose mark_t mark_c",
    # The page of that copy that holds nested operations and cannot be written yet; nest is when the latest
    # of those ended.
    "page_open page_seq page_t page_c page_think page_wait nest_t nest_c",
    # A mapping that nothing shows the end of, a fault's: it ends after its drawn hold, or with the task's
    # next event if that comes first.
    "brief brief_seq brief_t brief_c brief_hold brief_think brief_wait brief_depth brief_page brief_kind",
)
# A process: its number in the trace (-1: none yet), images it has had, the process that forked it (-1), the
# hash of its working directory (0: where it began), the process whose table of descriptors it uses, and of
# such a table the first entry (-1: none) and how many there are.
PROCESS = _record("number image parent directory table first_fd fds")
# An entry of a table of descriptors: what it refers to (-1: closed), and the table's next entry.
DESCRIPTOR = _record("fd description close_on_exec next")
# An open file description: its file (0: not known), position in bytes and whether that is known, and whether
# writes go to the end.
DESCRIPTION = _record("file at known append")
# A row of the trace; `seq` decides between rows of one time.
ROW = _record("seq", *COLUMN_NAMES)
# Single values: how much of each table is in use or there is, what is known of the whole, and what is
# counted for the reader of the trace.
TOTALS = _record(
    "n_tasks n_processes n_descriptors n_descriptions n_pages n_rows n_entries places room",
    "page_bits span_bits seq clock first_time task_numbers process_numbers one_process written_up_to",
    "switches exec_events largest_cpu lost_count lost_unknown lost_said entries_open exits_alone cut_by_end",
    "clock_steps tasks_unborn execs_by_name fds_before no_identity directories splices forks execs",
    "cloner cloner_before other_calls switches_back moved kernel_reads faults copies owners_unknown",
)


def new_state(one_process: bool, page_bytes: int, span_bytes: int) -> Tables:
    """Begin a recording: totals, tasks, processes, descriptors, descriptions, entries, rows and holds.

    `entries` is the map of `hashing` with all that has a name: task numbers, process numbers, descriptors,
    pages. `holds` are the quantiles of `load_holds`.
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
    """Make room for `events` more events, one of which makes at most `pages` rows."""
    totals = state.totals[0]
    # An event can name two new tasks, each of a new process, open two descriptors and note two sizes; a fork
    # counts what it copies as pages.
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
