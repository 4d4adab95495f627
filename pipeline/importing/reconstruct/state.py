"""What is remembered between events: arrays for compiled code, which grow between blocks.

`tasks` has one row per task, of these columns:

- TID..ON_CPU: who it is and how its CPU time is counted. CPU time at t is USED + (t - SINCE); SINCE is -1
  while it is off its CPU.
- END_T, END_C: clock and CPU time when its latest outermost operation ended; END_T -1: it has had none.
- CALL..CALL_FILE: the system call it is in, NO_CALL if none, and that call's arguments.
- COPY..COPY_LOOSE: the copy under way: of COPY_FILE from byte COPY_START up to COPY_LAST; bytes before
  COPY_AT are done, at the clock and CPU time MARK_T, MARK_C. LOOSE: it ends with the task's next event.
- OPEN..OPEN_WAIT: the page of that copy that holds nested operations and cannot be written yet; NEST_T,
  NEST_C are when the latest of those ended.
- BORN: 0 its beginning was not recorded; 1 from its fork, 2 from its making as a thread, until its own first
  event; then -1.
- BRIEF..BRIEF_KIND: a mapping that nothing shows the end of, a fault's: it ends after its drawn hold, or with
  the task's next event if that comes first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.importing.reconstruct.hash_map import rehash

(
    TID, OWNER, NUMBER, COMM, USED, SINCE, LATEST, ON_CPU, END_T, END_C,
    CALL, CALL_T, CALL_FD, CALL_COUNT, CALL_AT, CALL_BUFFER, CALL_FILE, CALL_MADE,
    COPY, COPY_FILE, COPY_START, COPY_AT, COPY_LAST, COPY_KIND, COPY_SLEPT, COPY_LOOSE, MARK_T, MARK_C,
    OPEN, OPEN_SEQ, OPEN_T, OPEN_C, OPEN_THINK, OPEN_WAIT, NEST_T, NEST_C,
    BRIEF, BRIEF_SEQ, BRIEF_T, BRIEF_C, BRIEF_HOLD, BRIEF_THINK, BRIEF_WAIT, BRIEF_DEPTH, BRIEF_PAGE,
    BRIEF_KIND, BORN, TASK_COLUMNS,
) = range(48)  # fmt: skip

# Columns of `processes`: its number in the trace (-1: none yet), images it has had, and who forked it (-1).
P_NUMBER, P_IMAGE, P_PARENT, P_COLUMNS = range(4)

# Columns of `rows`.
(
    R_TIME, R_SEQ, R_TASK, R_PROCESS, R_CPU, R_KIND, R_PAGE, R_BYTES, R_THINK, R_WAIT, R_HOLD, R_BLOCK,
    R_DEPTH, ROW_COLUMNS,
) = range(14)  # fmt: skip

# Single values, in `totals`: state first, then what is counted for the reader of the trace.
(
    N_TASKS, N_PROCESSES, N_PAGES, N_ROWS, N_ENTRIES, SEQ, CLOCK, TASK_NUMBERS, PROCESS_NUMBERS, SWITCHES,
    EXEC_EVENTS, ONE_PROCESS, LARGEST_CPU, WRITTEN_UP_TO, LOST_COUNT, LOST_UNKNOWN, ENTRIES_OPEN, EXITS_ALONE,
    CUT_BY_END, CLOCK_STEPS, TASKS_UNBORN, EXECS_BY_NAME, FDS_BEFORE, NO_IDENTITY, DIRECTORIES, SPLICES,
    FORKS, EXECS, SWITCHES_BACK, MOVED, KERNEL_READS, FAULTS, COPIES, FIRST_TIME, LOST_SAID,
    OWNERS_UNKNOWN, TOTALS,
) = range(37)  # fmt: skip


class State(NamedTuple):
    """All of it. `entries` is the map of `maps`: task numbers, process numbers, descriptors, pages.

    `holds` [2, n] are ns at evenly spaced quantiles: of a fault's mapping, of a copy's.
    """

    totals: np.ndarray
    tasks: np.ndarray
    processes: np.ndarray
    entries: np.ndarray
    rows: np.ndarray
    holds: np.ndarray


FAULT_HOLD, COPY_HOLD = range(2)


def new_state(holds: np.ndarray, one_process: bool) -> State:
    """Begin a recording."""
    totals = np.zeros(TOTALS, np.int64)
    totals[ONE_PROCESS] = one_process
    totals[LARGEST_CPU] = totals[FIRST_TIME] = -1
    totals[WRITTEN_UP_TO] = np.iinfo(np.int64).min
    return State(
        totals,
        tasks=np.zeros((1 << 10, TASK_COLUMNS), np.int64),
        processes=np.zeros((1 << 10, P_COLUMNS), np.int64),
        entries=np.zeros((1 << 12, 3), np.int64),
        rows=np.zeros((1 << 14, ROW_COLUMNS), np.int64),
        holds=holds,
    )


def grown(state: State, events: int, pages: int) -> State:
    """Return the state with room for `events` more events, one of which makes at most `pages` rows."""
    totals = state.totals
    # An event can name two new tasks, each of a new process, and open one descriptor.
    entries = state.entries
    most = int(totals[N_ENTRIES]) + 6 * events + pages
    if 2 * most > len(entries):
        entries = np.zeros((1 << (2 * most).bit_length(), 3), np.int64)
        rehash(entries, state.entries)
    return state._replace(
        tasks=_longer(state.tasks, int(totals[N_TASKS]) + 2 * events),
        processes=_longer(state.processes, int(totals[N_PROCESSES]) + 2 * events),
        entries=entries,
        rows=_longer(state.rows, pages + 4),
    )


def _longer(array: np.ndarray, length: int) -> np.ndarray:
    if length <= len(array):
        return array
    longer = np.zeros((1 << length.bit_length(), *array.shape[1:]), np.int64)
    longer[: len(array)] = array
    return longer
