"""Compiled handling of system calls that copy bytes, and of the pages that they copy."""
# ruff: noqa: PLR1714
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing import events as ev
from pipeline.importing.mappings import HOLD_SPLIT
from pipeline.importing.reconstruct import descriptors
from pipeline.importing.reconstruct.identities import fork, replace_image
from pipeline.importing.reconstruct.operations import (
    abandon,
    advance,
    begin_copy,
    count_pages,
    draw_copy_hold,
)
from pipeline.jit.loops import compiled_inside
from pipeline.schema.names import KINDS

_TO_USER, _FROM_USER, _OTHER = map(KINDS.index, ("copy_to_user", "copy_from_user", "other"))
# Without scheduler events, a call that takes longer than this is assumed to have slept for all but this much
# CPU time (traces/RECORDINGS.md).
_LONGEST_CALL_NS, _CALL_CPU_NS = HOLD_SPLIT.longest_cpu_ns, HOLD_SPLIT.cpu_when_longer_ns


@compiled_inside
def look_up_pages(state, k, row, t, c):
    """Handle a lookup of file pages: a read starts to copy, or the kernel reads the file."""
    task = state.tasks[k]
    call = task.call
    if task.copying:
        task.copy_last = max(task.copy_last, row.last)
        return
    if ev.reads_file(call):
        at = task.call_at
        if call == ev.READ:
            found = descriptors.find_description(state, task.owner, task.call_fd)
            at = state.descriptions[found].at if found >= 0 else -1
        page_bits = state.totals[0].page_bits
        if at < 0 or at >> page_bits != row.position >> page_bits:
            # The position changed before the recording began or by unrecorded calls.
            state.totals[0].fds_before += 1
            at = row.position
        begin_copy(state, k, t, c, _TO_USER, row.file, at, row.last)
    elif call == ev.SPLICE:
        state.totals[0].splices += 1
    else:
        kind = _TO_USER
        if call != ev.ASYNCHRONOUS:
            state.totals[0].kernel_reads += 1
            kind = _OTHER
        last = min(row.last, row.position + (1 << 20))
        begin_copy(state, k, t, c, kind, row.file, row.position, last)
        task.copy_loose = 1


@compiled_inside
def enter(state, k, row, t):
    """Handle the entry of a call."""
    task = state.tasks[k]
    if task.call != ev.NO_CALL:
        state.totals[0].entries_open += 1
        abandon(state, k)
    task.call, task.call_t, task.call_fd = row.call, t, row.fd
    task.call_count, task.call_at, task.call_buffer = row.count, row.position, row.buffer
    task.call_file = 0 if row.file == -1 else row.file
    task.call_made = 0
    if row.call == ev.CLONE and state.totals[0].cloner != k:
        state.totals[0].cloner_before = state.totals[0].cloner
        state.totals[0].cloner = k


@compiled_inside
def find_maker(state):
    """Return the row of the task that is creating another task, -1 if there is not exactly one."""
    maker, before = state.totals[0].cloner, state.totals[0].cloner_before
    if before >= 0 and state.tasks[before].call == ev.CLONE:
        return -1
    return maker if maker >= 0 and state.tasks[maker].call == ev.CLONE else -1


@compiled_inside
def _update_descriptors(state, k, row, fd, count):
    """Update the descriptor tables after a call; `count` is the call's other descriptor."""
    owner = state.tasks[k].owner
    call, result = row.call, row.result
    flags = max(row.flag, 0)
    file = max(row.file, 0) if row.file != ev.NO_FILE else ev.NO_FILE
    if result < 0:
        return
    if call == ev.OPEN:
        descriptors.open_file(state, owner, fd, result, file, flags)
    elif call == ev.OPEN_OTHER:
        other = descriptors.add_description(state, ev.NO_FILE, 0, 1, 0)
        descriptors.set_descriptor(state, owner, result, other, flags & ev.CLOSE_ON_EXEC)
    elif call == ev.OPEN_PAIR and fd >= 0:
        for end in (fd, count):
            other = descriptors.add_description(state, ev.NO_FILE, 0, 1, 0)
            descriptors.set_descriptor(state, owner, end, other, flags & ev.CLOSE_ON_EXEC)
    elif call == ev.CLOSE:
        descriptors.set_descriptor(state, owner, fd, -1, 0)
    elif call == ev.CLOSE_RANGE and fd >= 0:
        descriptors.close_range(state, owner, fd, count, flags & ev.CLOSE_ON_EXEC)
    elif call == ev.DUPLICATE or call == ev.DUPLICATE_TO:
        if fd != result:
            same = descriptors.description_of(state, owner, fd, file)
            descriptors.set_descriptor(state, owner, result, same, flags & ev.CLOSE_ON_EXEC)
    elif call == ev.CONTROL:
        if count == ev.DUPLICATE_FD or count == ev.DUPLICATE_FD_CLOEXEC:
            same = descriptors.description_of(state, owner, fd, file)
            descriptors.set_descriptor(state, owner, result, same, count == ev.DUPLICATE_FD_CLOEXEC)
        elif count == ev.SET_FD_FLAGS and row.flag >= 0:
            descriptors.close_range(state, owner, fd, fd, 1 if flags else 2)
        elif count == ev.SET_FILE_FLAGS and row.flag >= 0:
            same = descriptors.description_of(state, owner, fd, file)
            state.descriptions[same].append = flags & ev.APPEND
    elif call == ev.SEEK:
        same = descriptors.description_of(state, owner, fd, file)
        state.descriptions[same].at = row.position if row.position >= 0 else result
        state.descriptions[same].known = 1
    elif call == ev.STATE_SIZE and row.position >= 0:
        same = descriptors.description_of(state, owner, fd, file)
        descriptors.set_size(state, state.descriptions[same].file, row.position)
    elif call == ev.CHANGE_DIRECTORY:
        if fd >= 0:
            file = state.descriptions[descriptors.description_of(state, owner, fd, file)].file
        elif flags & ev.RELATIVE:
            file = descriptors.resolve(state, owner, -1, file)
        state.processes[owner].directory = file
    elif call == ev.EXECUTE:
        descriptors.close_on_exec(state, owner)
        if state.totals[0].exec_events == 0:
            state.totals[0].execs += 1
            replace_image(state, k)


@compiled_inside
def _end_copy(state, k, call, fd, result, t, c):
    """End a read or write of `result` bytes with recorded page lookups."""
    task = state.tasks[k]
    if task.copying and not task.copy_loose:
        if result > 0:
            end = min(task.copy_start + result, task.copy_last + 1)
            if task.copy_kind == _TO_USER and call == ev.READ:
                found = descriptors.description_of(state, task.owner, fd, 0)
                state.descriptions[found].at = task.copy_start + result
            advance(state, k, max(end, task.copy_at), t, c, True)
        else:
            abandon(state, k)
    elif result > 0 and not task.call_made:
        state.totals[0].no_identity += 1


@compiled_inside
def _copy_by_descriptor(state, k, row, duration, t, c):
    """Build the operations of a call that ended at `t` from its descriptor, without recorded page lookups."""
    call, result = row.call, row.result
    if result <= 0 or not (ev.copies_file(call) or call == ev.SPLICE):
        return
    owner = state.tasks[k].owner
    found = descriptors.description_of(state, owner, row.fd, max(row.file, ev.NO_FILE))
    writes = call == ev.WRITE or call == ev.WRITE_AT
    begin, known = descriptors.move(state, found, row.position, result, writes)
    if call == ev.SPLICE:
        # Pages move from one file to another; only the write maps them.
        if row.count < 0:
            return
        found = descriptors.description_of(state, owner, row.count, max(row.address, ev.NO_FILE))
        begin, known = descriptors.move(state, found, row.last, result, True)
        writes = True
    file = state.descriptions[found].file
    if file <= 0:
        if call != ev.SPLICE:
            state.totals[0].no_identity += 1
        return
    if not known:
        state.totals[0].fds_before += 1
    pages = count_pages(state, begin, begin + result - 1)
    hold = min(draw_copy_hold(state, pages, t), duration)
    kind = _FROM_USER if writes else _TO_USER
    begin_copy(state, k, t - hold, c - hold, kind, file, begin, begin + result - 1)
    advance(state, k, begin + result, t, c, True)


@compiled_inside
def leave(state, k, row, t, c):
    """Handle the return of a call: build the operations of its copy and update its descriptor."""
    task = state.tasks[k]
    call, result = row.call, row.result
    if task.call != call:
        # The call began before the recording, or its entry was lost.
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
        # The copy follows the sleep.
        if task.copying and not task.page_open:
            task.mark_t = max(task.mark_t, t - _CALL_CPU_NS)
            task.mark_c = c - (t - task.mark_t)
    # A recorder of whole calls records the arguments with the return.
    fd, count = (row.fd, row.count) if row.duration >= 0 else (task.call_fd, task.call_count)
    if not ev.copies_file(call):
        state.totals[0].other_calls += 1
    if row.duration >= 0:
        _copy_by_descriptor(state, k, row, duration, t, c)
    elif ev.copies_file(call):
        _end_copy(state, k, call, fd, result, t, c)
    if call == ev.DIRECTORY and result > 0:
        state.totals[0].directories += 1
    if call == ev.CLONE and result > 0:
        begin_task(state, k, result, row.buffer, t)
    _update_descriptors(state, k, row, fd, count)


@compiled_inside
def begin_task(state, k, child, shared, t):
    """Add a task that another task created; it inherits descriptors unless it shares them."""
    process = fork(state, k, child, shared, t)
    if process >= 0:
        descriptors.inherit_descriptors(state, state.tasks[k].owner, process)
