"""Compiled: system calls that move bytes, and the pages that they move."""
# ruff: noqa: PLR1714
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing import events as ev
from pipeline.importing.mappings import HOLD_SPLIT
from pipeline.importing.reconstruct.identities import find_fd, fork, replace_image, set_fd
from pipeline.importing.reconstruct.operations import abandon, advance, begin_copy, draw_copy_hold
from pipeline.jit.loops import compiled_inside
from pipeline.schema.trace import KINDS

_TO_USER, _FROM_USER, _OTHER = map(KINDS.index, ("copy_to_user", "copy_from_user", "other"))
# Without the scheduler's events: a call that takes longer has slept, but for this much CPU time
# (traces/RECORDINGS.md).
_LONGEST_CALL_NS, _CALL_CPU_NS = HOLD_SPLIT.longest_cpu_ns, HOLD_SPLIT.cpu_when_longer_ns


@compiled_inside
def look_up_pages(state, k, row, t, c):
    """The kernel looked up pages of a file: a read begins to copy, or the kernel reads for itself."""
    task = state.tasks[k]
    call = task.call
    if task.copying:
        task.copy_last = max(task.copy_last, row.last)
        return
    if ev.reads_file(call):
        at = task.call_at
        if call == ev.READ:
            i = find_fd(state, task.owner, task.call_fd)
            at = state.entries[i].second if i >= 0 else -1
        if at < 0 or at >> 12 != row.position >> 12:
            # Read before the recording began, or moved by calls that were not recorded.
            state.totals[0].fds_before += 1
            at = row.position
        begin_copy(state, k, t, c, _TO_USER, row.file, at, row.last)
    elif call == ev.SPLICE:
        state.totals[0].splices += 1
    else:
        state.totals[0].kernel_reads += 1
        last = min(row.last, row.position + (1 << 20))
        begin_copy(state, k, t, c, _OTHER, row.file, row.position, last)
        task.copy_loose = 1


@compiled_inside
def enter(state, k, row, t):
    """A call begins."""
    task = state.tasks[k]
    if task.call != ev.NO_CALL:
        state.totals[0].entries_open += 1
        abandon(state, k)
    task.call, task.call_t, task.call_fd = row.call, t, row.fd
    task.call_count, task.call_at, task.call_buffer = row.count, row.position, row.buffer
    task.call_file = 0 if row.file == -1 else row.file
    task.call_made = 0


@compiled_inside
def _update_descriptors(state, k, call, fd, result, file):
    """Keep the table of descriptors after a call that changes it."""
    owner = state.tasks[k].owner
    if call == ev.OPEN and result >= 0:
        set_fd(state, owner, result, max(file, 0), 0)
    elif call == ev.CLOSE:
        set_fd(state, owner, fd, -1, 0)
    elif (call == ev.DUPLICATE or call == ev.DUPLICATE_TO) and result >= 0:
        i = find_fd(state, owner, fd)
        if i >= 0:
            set_fd(state, owner, result, state.entries[i].first, state.entries[i].second)
        else:
            set_fd(state, owner, result, -1, 0)
    elif call == ev.SEEK and result >= 0:
        i = find_fd(state, owner, fd)
        if i >= 0:
            state.entries[i].second = result
        else:
            set_fd(state, owner, fd, max(file, 0), result)
    elif call == ev.EXECUTE and result == 0 and state.totals[0].exec_events == 0:
        state.totals[0].execs += 1
        replace_image(state, k)


@compiled_inside
def _end_copy(state, k, call, fd, result, t, c):
    """End a read or write of `result` bytes whose pages events of the kernel have shown."""
    task = state.tasks[k]
    if task.copying and not task.copy_loose:
        if result > 0:
            end = min(task.copy_start + result, task.copy_last + 1)
            if task.copy_kind == _TO_USER and call == ev.READ:
                i = find_fd(state, task.owner, fd)
                if i >= 0:
                    state.entries[i].second = task.copy_start + result
                else:
                    set_fd(state, task.owner, fd, 0, task.copy_start + result)
            advance(state, k, max(end, task.copy_at), t, c, True)
        else:
            abandon(state, k)
    elif result > 0 and not task.call_made:
        state.totals[0].no_identity += 1


@compiled_inside
def _copy_by_descriptor(state, k, row, at, file, duration, t, c):
    """Make the operations of a whole call from its descriptor: the recorder saw no pages. It ended at `t`."""
    task = state.tasks[k]
    call, result, fd = row.call, row.result, row.fd
    if not ev.copies_file(call):
        return
    if file == 0:
        # Without -y, only the call that opened it said what it is.
        i = find_fd(state, task.owner, fd)
        file = state.entries[i].first if i >= 0 else 0
    if result > 0 and file > 0:
        if call == ev.READ or call == ev.WRITE:
            i = find_fd(state, task.owner, fd)
            if i >= 0 and state.entries[i].first == file:
                at = state.entries[i].second
                state.entries[i].second = at + result
            else:
                state.totals[0].fds_before += 1
                at = 0
                set_fd(state, task.owner, fd, file, result)
        at = max(at, 0)
        pages = ((at + result - 1) >> 12) - (at >> 12) + 1
        hold = min(draw_copy_hold(state, pages, t), duration)
        kind = _TO_USER if ev.reads_file(call) else _FROM_USER
        begin_copy(state, k, t - hold, c - hold, kind, file, at, at + result - 1)
        advance(state, k, at + result, t, c, True)
    elif result > 0:
        state.totals[0].no_identity += 1


@compiled_inside
def leave(state, k, row, t, c):
    """A call returns: what it moved becomes operations, and its descriptor is kept up."""
    task = state.tasks[k]
    call, result = row.call, row.result
    if task.call != call:
        # The other end of a call that began before the recording, or whose entry was lost.
        state.totals[0].exits_alone += 1
        abandon(state, k)
        task.call = ev.NO_CALL
        return
    task.call = ev.NO_CALL
    duration = row.duration if row.duration >= 0 else t - task.call_t
    if state.totals[0].switches == 0 and duration > _LONGEST_CALL_NS:
        slept = duration - _CALL_CPU_NS
        task.used -= slept
        c -= slept
        # The copy comes after the sleep.
        if task.copying and not task.page_open:
            task.mark_t = max(task.mark_t, t - _CALL_CPU_NS)
            task.mark_c = c - (t - task.mark_t)
    # A recorder of whole calls knows at the return with what it was made.
    fd, file = (row.fd, row.file) if row.duration >= 0 else (task.call_fd, task.call_file)
    if row.duration >= 0:
        _copy_by_descriptor(state, k, row, row.position, file, duration, t, c)
    elif ev.copies_file(call):
        _end_copy(state, k, call, fd, result, t, c)
    if call == ev.DIRECTORY and result > 0:
        state.totals[0].directories += 1
    if call == ev.CLONE and result > 0:
        fork(state, k, result, max(row.buffer, task.call_buffer), t)
    _update_descriptors(state, k, call, fd, result, file)
