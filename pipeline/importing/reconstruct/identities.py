"""Compiled: which task, process and descriptor a number stands for, and what is inherited.

`state` is the set of tables of `state.new_state`, `k` a task's row in it.
"""
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing.hashing import mix, place
from pipeline.jit.loops import compiled_inside

# A descriptor is looked for in so many generations of forks.
_FORK_DEPTH = 16
# Apart from the numbers of tasks, of which keys are made too.
_FDS = 1 << 40


@compiled_inside
def _set_entry(state, key, first, second):
    """Set the values of a key, new or not."""
    i = place(state, key)
    if state.entries[i].key == 0:
        state.entries[i].key = key
        state.totals[0].n_entries += 1
    state.entries[i].first = first
    state.entries[i].second = second


@compiled_inside
def _add_process(state, key, parent):
    process = state.totals[0].n_processes
    state.totals[0].n_processes += 1
    _set_entry(state, key, process, 0)
    row = state.processes[process]
    row.number, row.image, row.parent = -1, 0, parent
    return process


@compiled_inside
def _process_key(state, pid, tid):
    """Without process numbers, each task is a process of its own, or all are threads of one."""
    if state.totals[0].one_process:
        return mix(1, 13)
    return mix(pid, 11) if pid >= 0 else mix(tid, 12)


@compiled_inside
def find_or_add_process(state, pid, tid, parent):
    """Number of the process, a new one of that parent (-1: unknown) if there is none."""
    key = _process_key(state, pid, tid)
    i = place(state, key)
    if state.entries[i].key != 0 and state.entries[i].first >= 0:
        return state.entries[i].first
    return _add_process(state, key, parent)


@compiled_inside
def find_task(state, tid):
    """Row of the task in `state.tasks`, -1 if it was not seen or has ended."""
    i = place(state, mix(tid, 1))
    return state.entries[i].first if state.entries[i].key != 0 else -1


@compiled_inside
def add_task(state, tid, owner, t):
    """Begin a task at `t`, on its CPU."""
    k = state.totals[0].n_tasks
    state.totals[0].n_tasks += 1
    _set_entry(state, mix(tid, 1), k, 0)
    task = state.tasks[k]
    task.tid, task.owner, task.number, task.since, task.latest = tid, owner, -1, t, t
    task.on_cpu = task.end_t = -1
    return k


@compiled_inside
def find_fd(state, process, fd):
    """Where the descriptor is, in the process or the one that forked it; -1 if it is not known."""
    for _ in range(_FORK_DEPTH):
        i = place(state, mix(process + _FDS, fd))
        if state.entries[i].key != 0:
            # -1: closed.
            return i if state.entries[i].first >= 0 else -1
        process = state.processes[process].parent
        if process < 0:
            break
    return -1


@compiled_inside
def set_fd(state, process, fd, file, at):
    """Set a descriptor's file (-1: closed or unknown) and position."""
    _set_entry(state, mix(process + _FDS, fd), file, at)


@compiled_inside
def replace_image(state, k):
    """Exec: the address space has new page-table pages from here on."""
    state.processes[state.tasks[k].owner].image += 1


@compiled_inside
def fork(state, k, child, thread, t):
    """A task was made: what it inherits counts, its own events come later, or have come already."""
    owner = state.tasks[k].owner
    seen = find_task(state, child)
    # Two events and a call can tell of one fork.
    if seen >= 0 and state.tasks[seen].born != 0:
        return
    state.totals[0].forks += 1
    if seen < 0:
        new = add_task(state, child, owner, t)
        state.tasks[new].since = -1
        state.tasks[new].born = 2 if thread > 0 else 1
        return
    # Its first events came before its maker's call returned.
    state.tasks[seen].born = -1
    state.totals[0].tasks_unborn = max(state.totals[0].tasks_unborn - 1, 0)
    state.totals[0].owners_unknown = max(state.totals[0].owners_unknown - 1, 0)
    process = state.tasks[seen].owner
    if thread > 0 and state.tasks[seen].number < 0:
        state.tasks[seen].owner = owner
        return
    if process != owner and state.processes[process].parent < 0:
        state.processes[process].parent = owner


@compiled_inside
def put_on_cpu(state, k, t):
    """Put a task on its CPU that was off."""
    task = state.tasks[k]
    task.since = t
    # Sleeping inside a copy that has not begun to move bytes is waiting for the pages to be read.
    if task.copying and task.copy_slept and not task.page_open:
        task.mark_t, task.mark_c = t, task.used
    task.copy_slept = 0
