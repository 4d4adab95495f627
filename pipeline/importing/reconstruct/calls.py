"""Compiled: system calls that move bytes, and the pages that they move."""
# ruff: noqa: PLR1714, SIM109
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing.reconstruct.identities import fd_place, fork, new_image, set_fd
from pipeline.importing.reconstruct.operations import abandon, advance, begin_copy, drawn
from pipeline.importing.reconstruct.state import (
    CALL,
    CALL_AT,
    CALL_BUFFER,
    CALL_COUNT,
    CALL_FD,
    CALL_FILE,
    CALL_MADE,
    CALL_T,
    COPY,
    COPY_AT,
    COPY_HOLD,
    COPY_KIND,
    COPY_LAST,
    COPY_LOOSE,
    COPY_START,
    DIRECTORIES,
    ENTRIES_OPEN,
    EXEC_EVENTS,
    EXECS,
    EXITS_ALONE,
    FDS_BEFORE,
    KERNEL_READS,
    MARK_C,
    MARK_T,
    NO_IDENTITY,
    OPEN,
    OWNER,
    SPLICES,
    SWITCHES,
    USED,
)
from pipeline.importing.text.events import (
    CLONE,
    CLOSE,
    DIRECTORY,
    DUPLICATE,
    DUPLICATE_TO,
    EXECUTE,
    NO_CALL,
    READ,
    READ_AT,
    SEEK,
    SPLICE,
    WRITE,
    WRITE_AT,
    A,
    B,
    C,
    D,
    E,
    F,
    G,
)
from pipeline.importing.text.events import OPEN as OPEN_CALL
from pipeline.jit.loops import compiled_inside

# Positions in schema.KINDS.
_TO_USER, _FROM_USER, _OTHER = 1, 2, 5
# Without the scheduler's events: a call that takes longer has slept, but for this much CPU time
# (pool.HOLD_SPLIT, traces/RECORDINGS.md).
_LONGEST_CALL_NS, _CALL_CPU_NS = 1_000_000, 25_000


@compiled_inside
def looked_up_pages(state, k, row, t, c):
    """The kernel looked up pages of a file: a read begins to copy, or the kernel reads for itself."""
    task = state.tasks[k]
    call = task[CALL]
    if task[COPY]:
        task[COPY_LAST] = max(task[COPY_LAST], row[C])
        return
    if call == READ or call == READ_AT:
        at = task[CALL_AT]
        if call == READ:
            i = fd_place(state, task[OWNER], task[CALL_FD])
            at = state.entries[i, 2] if i >= 0 else -1
        if at < 0 or at >> 12 != row[B] >> 12:
            # Read before the recording began, or moved by calls that were not recorded.
            state.totals[FDS_BEFORE] += 1
            at = row[B]
        begin_copy(state, k, t, c, _TO_USER, row[A], at, row[C])
    elif call == SPLICE:
        state.totals[SPLICES] += 1
    else:
        state.totals[KERNEL_READS] += 1
        begin_copy(state, k, t, c, _OTHER, row[A], row[B], min(row[C], row[B] + (1 << 20)))
        task[COPY_LOOSE] = 1


@compiled_inside
def enter(state, k, row, t):
    """A call begins."""
    task = state.tasks[k]
    if task[CALL] != NO_CALL:
        state.totals[ENTRIES_OPEN] += 1
        abandon(state, k)
    task[CALL], task[CALL_T], task[CALL_FD] = row[A], t, row[B]
    task[CALL_COUNT], task[CALL_AT], task[CALL_BUFFER] = row[C], row[D], row[E]
    task[CALL_FILE] = 0 if row[F] == -1 else row[F]
    task[CALL_MADE] = 0


@compiled_inside
def _opened(state, k, call, fd, result, file):
    """Keep the table of descriptors after a call that changes it."""
    owner = state.tasks[k, OWNER]
    if call == OPEN_CALL and result >= 0:
        set_fd(state, owner, result, max(file, 0), 0)
    elif call == CLOSE:
        set_fd(state, owner, fd, -1, 0)
    elif (call == DUPLICATE or call == DUPLICATE_TO) and result >= 0:
        i = fd_place(state, owner, fd)
        if i >= 0:
            set_fd(state, owner, result, state.entries[i, 1], state.entries[i, 2])
        else:
            set_fd(state, owner, result, -1, 0)
    elif call == SEEK and result >= 0:
        i = fd_place(state, owner, fd)
        if i >= 0:
            state.entries[i, 2] = result
        else:
            set_fd(state, owner, fd, max(file, 0), result)
    elif call == EXECUTE and result == 0 and state.totals[EXEC_EVENTS] == 0:
        state.totals[EXECS] += 1
        new_image(state, k)


@compiled_inside
def _moved_bytes(state, k, call, fd, result, t, c):
    """End a read or write of `result` bytes whose pages the kernel's own events told."""
    task = state.tasks[k]
    if task[COPY] and not task[COPY_LOOSE]:
        if result > 0:
            end = min(task[COPY_START] + result, task[COPY_LAST] + 1)
            if task[COPY_KIND] == _TO_USER and call == READ:
                i = fd_place(state, task[OWNER], fd)
                if i >= 0:
                    state.entries[i, 2] = task[COPY_START] + result
                else:
                    set_fd(state, task[OWNER], fd, 0, task[COPY_START] + result)
            advance(state, k, max(end, task[COPY_AT]), t, c, True)
        else:
            abandon(state, k)
    elif result > 0 and not task[CALL_MADE]:
        state.totals[NO_IDENTITY] += 1


@compiled_inside
def _whole(state, k, call, fd, at, file, result, duration, t, c):
    """Make a call's operations from its descriptor: the recorder saw no pages. It ended at `t`."""
    task = state.tasks[k]
    reads = call == READ or call == READ_AT
    moves = reads or call == WRITE or call == WRITE_AT
    if moves and file == 0:
        # Without -y, only the call that opened it said what it is.
        i = fd_place(state, task[OWNER], fd)
        file = state.entries[i, 1] if i >= 0 else 0
    if moves and result > 0 and file > 0:
        if call == READ or call == WRITE:
            i = fd_place(state, task[OWNER], fd)
            if i >= 0 and state.entries[i, 1] == file:
                at = state.entries[i, 2]
                state.entries[i, 2] = at + result
            else:
                state.totals[FDS_BEFORE] += 1
                at = 0
                set_fd(state, task[OWNER], fd, file, result)
        at = max(at, 0)
        pages = ((at + result - 1) >> 12) - (at >> 12) + 1
        hold = 0
        for i in range(pages):
            hold += drawn(state, COPY_HOLD, t, i)
        hold = min(hold, duration)
        begin_copy(state, k, t - hold, c - hold, _TO_USER if reads else _FROM_USER, file, at, at + result - 1)
        advance(state, k, at + result, t, c, True)
    elif moves and result > 0:
        state.totals[NO_IDENTITY] += 1


@compiled_inside
def leave(state, k, row, t, c):
    """A call returns: what it moved becomes operations, and its descriptor is kept up."""
    task = state.tasks[k]
    call, result = row[A], row[B]
    if task[CALL] != call:
        # The other end of a call that began before the recording, or whose entry was lost.
        state.totals[EXITS_ALONE] += 1
        abandon(state, k)
        task[CALL] = NO_CALL
        return
    task[CALL] = NO_CALL
    duration = row[G] if row[G] >= 0 else t - task[CALL_T]
    if state.totals[SWITCHES] == 0 and duration > _LONGEST_CALL_NS:
        slept = duration - _CALL_CPU_NS
        task[USED] -= slept
        c -= slept
        # The copy comes after the sleep.
        if task[COPY] and not task[OPEN]:
            task[MARK_T] = max(task[MARK_T], t - _CALL_CPU_NS)
            task[MARK_C] = c - (t - task[MARK_T])
    file = task[CALL_FILE] if row[F] == -1 or row[F] == 0 else row[F]
    if row[G] >= 0:
        at = row[D] if row[D] >= 0 else task[CALL_AT]
        _whole(state, k, call, task[CALL_FD], at, file, result, duration, t, c)
    elif call == READ or call == READ_AT or call == WRITE or call == WRITE_AT:
        _moved_bytes(state, k, call, task[CALL_FD], result, t, c)
    if call == DIRECTORY and result > 0:
        state.totals[DIRECTORIES] += 1
    if call == CLONE and result > 0:
        fork(state, k, result, max(row[E], task[CALL_BUFFER]), t)
    _opened(state, k, call, task[CALL_FD], result, file)
