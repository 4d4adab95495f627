"""Compiled tables of file descriptors and of the open file descriptions that they refer to.

A file position belongs to the description (open(2)); dup, fork and clone create more descriptors of the same
description. `state.descriptors` has the entries of all tables; each table is a chain that starts at
`state.processes[table].first_fd`. `state.descriptions` has the descriptions. -1 means none: closed, or not
known to be open.
"""
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing import events as ev
from pipeline.importing.hashing import mix, place
from pipeline.importing.reconstruct.identities import set_entry
from pipeline.jit.loops import compiled_inside

# Offset that separates these keys from the keys of tasks.
_FDS = 1 << 40
_SIZES = 14
# State of a position besides known (1) and unknown (0).
_ASSUMED = 2


@compiled_inside
def _find_entry(state, process, fd):
    """Return the row of the descriptor in `state.descriptors`, -1 if it is new."""
    i = place(state, mix(state.processes[process].table + _FDS, fd))
    return state.entries[i].first if state.entries[i].key != 0 else -1


@compiled_inside
def find_description(state, process, fd):
    """Return the row of the descriptor's description in `state.descriptions`, -1 if unknown or closed."""
    entry = _find_entry(state, process, fd)
    return state.descriptors[entry].description if entry >= 0 else -1


@compiled_inside
def add_description(state, file, at, known, append):
    """Add a description; `known` is the state of its position. Return its row."""
    new = state.totals[0].n_descriptions
    state.totals[0].n_descriptions += 1
    row = state.descriptions[new]
    row.file, row.at, row.known, row.append = file, at, known, append
    return new


@compiled_inside
def set_descriptor(state, process, fd, description, close_on_exec):
    """Make the descriptor refer to a description (-1: closed)."""
    entry = _find_entry(state, process, fd)
    table = state.processes[process].table
    if entry < 0:
        entry = state.totals[0].n_descriptors
        state.totals[0].n_descriptors += 1
        set_entry(state, mix(table + _FDS, fd), entry, 0)
        row = state.descriptors[entry]
        row.fd, row.next = fd, state.processes[table].first_fd
        state.processes[table].first_fd = entry
        state.processes[table].fds += 1
    state.descriptors[entry].description = description
    state.descriptors[entry].close_on_exec = close_on_exec


@compiled_inside
def close_range(state, process, first, last, only_on_exec):
    """Close the descriptors from `first` to `last`, or mark them as closed by exec."""
    entry = state.processes[state.processes[process].table].first_fd
    while entry >= 0:
        row = state.descriptors[entry]
        if first <= row.fd <= last:
            if only_on_exec:
                row.close_on_exec = 1
            else:
                row.description = -1
        entry = row.next


@compiled_inside
def close_on_exec(state, process):
    """Close the descriptors that exec closes."""
    entry = state.processes[state.processes[process].table].first_fd
    while entry >= 0:
        row = state.descriptors[entry]
        if row.close_on_exec:
            row.description = -1
        entry = row.next


@compiled_inside
def inherit_descriptors(state, parent, child):
    """Copy the parent's descriptors to the child, except those that the child has already set."""
    entry = state.processes[state.processes[parent].table].first_fd
    while entry >= 0:
        fd, description = state.descriptors[entry].fd, state.descriptors[entry].description
        if description >= 0 and _find_entry(state, child, fd) < 0:
            set_descriptor(state, child, fd, description, state.descriptors[entry].close_on_exec)
        entry = state.descriptors[entry].next


@compiled_inside
def description_of(state, process, fd, file):
    """Return the row of the descriptor's description; add one with unknown position if there is none.

    `file` is the file that the recorder prints for the descriptor, 0 if none. If it differs from the opened
    file, unrecorded calls changed the descriptor.
    """
    found = find_description(state, process, fd)
    if found >= 0 and state.descriptions[found].file == 0:
        state.descriptions[found].file = file
    if found < 0 or (file != 0 and state.descriptions[found].file != file):
        found = add_description(state, file, 0, 0, 0)
        set_descriptor(state, process, fd, found, 0)
    return found


@compiled_inside
def find_size(state, file):
    """Return the size of a file in bytes, -1 if unknown."""
    i = place(state, mix(file, _SIZES))
    return state.entries[i].first if state.entries[i].key != 0 else -1


@compiled_inside
def set_size(state, file, size):
    """Store a file's size in bytes."""
    set_entry(state, mix(file, _SIZES), size, 0)


@compiled_inside
def move(state, description, at, count, writes):
    """Read or write `count` bytes at `at`, or at the file position if -1; return offset and state.

    The state is 1 if the offset is known, else 0. If `at` is given, the file position does not change.
    """
    row = state.descriptions[description]
    size = find_size(state, row.file)
    known = 1
    begin = at
    if at < 0:
        begin = row.at
        # An assumed position counts as known if calls that can change it are recorded.
        if row.known == _ASSUMED:
            known = 1 if state.totals[0].other_calls > 0 else 0
        else:
            known = row.known
        if writes and row.append:
            known = 1 if size >= 0 else 0
            begin = size if size >= 0 else row.at
        row.at = begin + count
        row.known = 1 if known else _ASSUMED
    if writes and known and size >= 0:
        set_size(state, row.file, max(size, begin + count))
    return begin, known


@compiled_inside
def open_file(state, process, directory, fd, file, flags):
    """Open a file by its path: `directory` is a descriptor, -1 for the working directory."""
    if flags & ev.RELATIVE:
        file = resolve(state, process, directory, file)
    description = add_description(state, max(file, ev.NO_FILE), 0, 1, 1 if flags & ev.APPEND else 0)
    if flags & ev.EMPTIED:
        set_size(state, file, 0)
    set_descriptor(state, process, fd, description, 1 if flags & ev.CLOSE_ON_EXEC else 0)


@compiled_inside
def resolve(state, process, directory, name):
    """Return the hash of the file with a name in a directory; -1 for the working directory."""
    base = state.processes[process].directory
    if directory >= 0:
        found = find_description(state, process, directory)
        base = state.descriptions[found].file if found >= 0 else -directory - 3
    return mix(base, name)
