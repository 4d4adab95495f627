"""Compiled lookup of tasks and processes by number, and inheritance between them.

`state` is the set of tables of `state.new_state`, and `k` is a task's row in it.
"""
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing import events as ev
from pipeline.importing.hashing import mix, place
from pipeline.jit.loops import compiled_inside


@compiled_inside
def set_entry(state, key, first, second):
    """Set the values of a new or existing key."""
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
    set_entry(state, key, process, 0)
    row = state.processes[process]
    row.number, row.image, row.parent, row.first_fd, row.table = -1, 0, parent, -1, process
    return process


@compiled_inside
def _process_key(state, pid, tid):
    """Return the key of a process; without process numbers, that of the task or of the only process."""
    if state.totals[0].one_process:
        return mix(1, 13)
    return mix(pid, 11) if pid >= 0 else mix(tid, 12)


@compiled_inside
def find_or_add_process(state, pid, tid, parent):
    """Return the row of the process; add one with this parent (-1: unknown) if there is none."""
    key = _process_key(state, pid, tid)
    i = place(state, key)
    if state.entries[i].key != 0 and state.entries[i].first >= 0:
        return state.entries[i].first
    return _add_process(state, key, parent)


@compiled_inside
def find_task(state, tid):
    """Return the row of the task in `state.tasks`, -1 if it is unknown or has ended."""
    i = place(state, mix(tid, 1))
    return state.entries[i].first if state.entries[i].key != 0 else -1


@compiled_inside
def add_task(state, tid, owner, t):
    """Add a task that starts at `t` on its CPU; return its row."""
    k = state.totals[0].n_tasks
    state.totals[0].n_tasks += 1
    set_entry(state, mix(tid, 1), k, 0)
    task = state.tasks[k]
    task.tid, task.owner, task.number, task.since, task.latest, task.said = tid, owner, -1, t, t, t
    task.on_cpu = task.end_t = -1
    return k


@compiled_inside
def replace_image(state, k):
    """Handle exec: the address space gets new page-table pages."""
    state.processes[state.tasks[k].owner].image += 1


@compiled_inside
def fork(state, k, child, shared, t):
    """Add a task that task `k` created and that shares what `shared` says.

    The new task's own events may come before or after this call. Return its process if that is new and must
    inherit descriptors; else -1.
    """
    owner = state.tasks[k].owner
    seen = find_task(state, child)
    # Two events and a call can report the same fork.
    if seen >= 0 and state.tasks[seen].born != 0:
        return -1
    state.totals[0].forks += 1
    thread = shared > 0 and shared & ev.THREAD
    if seen < 0:
        new = add_task(state, child, owner, t)
        state.tasks[new].since = -1
        state.tasks[new].born = 2 if thread else 1
        if thread:
            return -1
        process = find_or_add_process(state, child if state.tasks[k].has_process else -1, child, owner)
        state.tasks[new].owner = process
    else:
        # Its first events came before its creator's call returned.
        state.tasks[seen].born = -1
        if seen > 0 and state.tasks[seen].number >= 0:
            state.totals[0].tasks_unborn -= 1
        state.totals[0].owners_unknown = max(state.totals[0].owners_unknown - 1, 0)
        process = state.tasks[seen].owner
        if thread and state.tasks[seen].number < 0:
            state.tasks[seen].owner = owner
            return -1
    if process == owner or (seen >= 0 and state.processes[process].parent >= 0):
        return -1
    state.processes[process].parent = owner
    state.processes[process].directory = state.processes[owner].directory
    if shared > 0 and shared & ev.SHARES_FILES:
        state.processes[process].table = state.processes[owner].table
        return -1
    return process


@compiled_inside
def put_on_cpu(state, k, t):
    """Put a task that was off CPU on its CPU."""
    task = state.tasks[k]
    task.since = t
    # A sleep in a copy that has not yet copied bytes is a wait for the pages to be read.
    if task.copying and task.copy_slept and not task.page_open:
        task.mark_t, task.mark_c = t, task.used
    task.copy_slept = 0
