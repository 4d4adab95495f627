"""Compiled: who is who among tasks, processes and descriptors, and what is inherited."""
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing.reconstruct.hash_map import place
from pipeline.importing.reconstruct.state import (
    BORN,
    COPY,
    COPY_SLEPT,
    END_T,
    FORKS,
    LATEST,
    MARK_C,
    MARK_T,
    N_ENTRIES,
    N_PROCESSES,
    N_TASKS,
    NUMBER,
    ON_CPU,
    ONE_PROCESS,
    OPEN,
    OWNER,
    OWNERS_UNKNOWN,
    P_IMAGE,
    P_NUMBER,
    P_PARENT,
    SINCE,
    TASKS_UNBORN,
    TID,
    USED,
)
from pipeline.importing.text.characters import mixed
from pipeline.jit.loops import compiled_inside

# A descriptor is looked for in so many generations of forks.
_FORK_DEPTH = 16
# Apart from the numbers of tasks, of which keys are made too.
_FDS = 1 << 40


@compiled_inside
def _enter(state, key, first, second):
    """Set the values of a key, new or not."""
    i = place(state.entries, key)
    if state.entries[i, 0] == 0:
        state.entries[i, 0] = key
        state.totals[N_ENTRIES] += 1
    state.entries[i, 1] = first
    state.entries[i, 2] = second


@compiled_inside
def _new_process(state, key, parent):
    process = state.totals[N_PROCESSES]
    state.totals[N_PROCESSES] += 1
    _enter(state, key, process, 0)
    state.processes[process, P_NUMBER] = -1
    state.processes[process, P_IMAGE] = 0
    state.processes[process, P_PARENT] = parent
    return process


@compiled_inside
def _process_key(state, pid, tid):
    """Without process numbers, each task is a process of its own, or all are threads of one."""
    if state.totals[ONE_PROCESS]:
        return mixed(1, 13)
    return mixed(pid, 11) if pid >= 0 else mixed(tid, 12)


@compiled_inside
def process_of(state, pid, tid, parent):
    """Number of the process, a new one of that parent (-1: unknown) if there is none."""
    key = _process_key(state, pid, tid)
    i = place(state.entries, key)
    if state.entries[i, 0] != 0 and state.entries[i, 1] >= 0:
        return state.entries[i, 1]
    return _new_process(state, key, parent)


@compiled_inside
def found_task(state, tid):
    """Row of the task in `State.tasks`, -1 if it was not seen or has ended."""
    i = place(state.entries, mixed(tid, 1))
    return state.entries[i, 1] if state.entries[i, 0] != 0 else -1


@compiled_inside
def new_task(state, tid, owner, t):
    """Begin a task at `t`, on its CPU."""
    k = state.totals[N_TASKS]
    state.totals[N_TASKS] += 1
    _enter(state, mixed(tid, 1), k, 0)
    task = state.tasks[k]
    task[:] = 0
    task[TID], task[OWNER], task[NUMBER], task[SINCE], task[LATEST] = tid, owner, -1, t, t
    task[ON_CPU] = task[END_T] = -1
    return k


@compiled_inside
def fd_place(state, process, fd):
    """Where the descriptor is, in the process or the one that forked it; -1 if it is not known."""
    for _ in range(_FORK_DEPTH):
        i = place(state.entries, mixed(process + _FDS, fd))
        if state.entries[i, 0] != 0:
            # -1: closed.
            return i if state.entries[i, 1] >= 0 else -1
        process = state.processes[process, P_PARENT]
        if process < 0:
            break
    return -1


@compiled_inside
def set_fd(state, process, fd, file, at):
    """Set a descriptor's file (-1: closed or unknown) and position."""
    _enter(state, mixed(process + _FDS, fd), file, at)


@compiled_inside
def new_image(state, k):
    """Exec: the address space has new page-table pages from here on."""
    state.processes[state.tasks[k, OWNER], P_IMAGE] += 1


@compiled_inside
def fork(state, k, child, thread, t):
    """A task was made: what it inherits counts, its own events come later, or have come already."""
    owner = state.tasks[k, OWNER]
    seen = found_task(state, child)
    # Two events and a call can tell of one fork.
    if seen >= 0 and state.tasks[seen, BORN] != 0:
        return
    state.totals[FORKS] += 1
    if seen < 0:
        new = new_task(state, child, owner, t)
        state.tasks[new, SINCE] = -1
        state.tasks[new, BORN] = 2 if thread > 0 else 1
        return
    # Its first events came before its maker's call returned.
    state.tasks[seen, BORN] = -1
    state.totals[TASKS_UNBORN] = max(state.totals[TASKS_UNBORN] - 1, 0)
    state.totals[OWNERS_UNKNOWN] = max(state.totals[OWNERS_UNKNOWN] - 1, 0)
    process = state.tasks[seen, OWNER]
    if thread > 0 and state.tasks[seen, NUMBER] < 0:
        state.tasks[seen, OWNER] = owner
        return
    if process != owner and state.processes[process, P_PARENT] < 0:
        state.processes[process, P_PARENT] = owner


@compiled_inside
def comes_on(state, k, t):
    """Put a task on its CPU that was off."""
    task = state.tasks[k]
    task[SINCE] = t
    # Sleeping inside a copy that has not begun to move bytes is waiting for the pages to be read.
    if task[COPY] and task[COPY_SLEPT] and not task[OPEN]:
        task[MARK_T], task[MARK_C] = t, task[USED]
    task[COPY_SLEPT] = 0
