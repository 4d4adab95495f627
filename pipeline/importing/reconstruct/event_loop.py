"""Compiled: what each neutral event does to the tasks' states, and so to the operations."""
# ruff: noqa: PLR1714, SIM109
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing.reconstruct.calls import enter, leave, looked_up_pages
from pipeline.importing.reconstruct.hash_map import place
from pipeline.importing.reconstruct.identities import (
    comes_on,
    fork,
    found_task,
    new_image,
    new_task,
    process_of,
)
from pipeline.importing.reconstruct.operations import (
    abandon,
    advance,
    begin_brief,
    begin_copy,
    cpu_time,
    drawn,
    end_brief,
    page_number,
    settle,
)
from pipeline.importing.reconstruct.state import (
    BORN,
    BRIEF,
    BRIEF_C,
    BRIEF_HOLD,
    BRIEF_T,
    CALL,
    CALL_AT,
    CALL_BUFFER,
    CALL_COUNT,
    CALL_FD,
    CALL_FILE,
    CALL_MADE,
    CALL_T,
    CLOCK,
    CLOCK_STEPS,
    COMM,
    COPY,
    COPY_AT,
    COPY_KIND,
    COPY_LAST,
    COPY_LOOSE,
    COPY_SLEPT,
    COPY_START,
    CUT_BY_END,
    ENTRIES_OPEN,
    EXEC_EVENTS,
    EXECS,
    EXECS_BY_NAME,
    EXITS_ALONE,
    FAULT_HOLD,
    FAULTS,
    FIRST_TIME,
    LARGEST_CPU,
    LATEST,
    LOST_COUNT,
    LOST_SAID,
    LOST_UNKNOWN,
    MARK_T,
    N_ENTRIES,
    N_ROWS,
    N_TASKS,
    ON_CPU,
    OPEN,
    OPEN_T,
    OWNER,
    OWNERS_UNKNOWN,
    P_IMAGE,
    SINCE,
    SWITCHES,
    SWITCHES_BACK,
    TASKS_UNBORN,
    TID,
    USED,
)
from pipeline.importing.text.characters import mixed
from pipeline.importing.text.events import (
    CODE,
    CPU,
    ENTER,
    EXEC,
    EXIT,
    EXITED,
    FAULT,
    FORK,
    LOST,
    NAME,
    NO_CALL,
    PAGES,
    PROCESS,
    READ,
    READ_AT,
    SWITCH,
    TASK,
    TIME,
    WHOLE,
    WRITE,
    WRITE_AT,
    WRITE_BEGIN,
    WRITE_END,
    A,
    B,
    C,
    D,
    G,
)
from pipeline.jit.loops import compiled, compiled_inside

# Positions in schema.KINDS.
_PAGE_FAULT, _FROM_USER = 0, 2

# Text clocks are cut to microseconds and those of two CPUs differ a little: what goes back less is no step.
_STEP_NS = 10_000
# A quarter of what a trace can span (schema.MAX_TIME_NS).
_LONGEST_NS = 1 << 44


@compiled_inside
def _switch(state, row, t):
    totals = state.totals
    totals[SWITCHES] += 1
    k = found_task(state, row[A])
    if k >= 0 and state.tasks[k, SINCE] >= 0:
        task = state.tasks[k]
        t_task = max(t, task[LATEST])
        task[LATEST] = t_task
        c = cpu_time(state, k, t_task)
        settle(state, k, t_task, c)
        task[USED] = c
        task[SINCE] = -1
        task[COPY_SLEPT] = row[C]
    k = found_task(state, row[B])
    if k >= 0 and state.tasks[k, SINCE] < 0:
        task = state.tasks[k]
        task[LATEST] = max(t, task[LATEST])
        task[ON_CPU] = row[CPU]
        comes_on(state, k, task[LATEST])


@compiled_inside
def _fault(state, k, row, t, c):
    task = state.tasks[k]
    if task[COPY] and not row[B]:
        # User code runs again, so the end of the call was not seen.
        if abandon(state, k):
            state.totals[ENTRIES_OPEN] += 1
        task[CALL] = NO_CALL
    if task[COPY]:
        byte = task[COPY_AT]
        into = row[A] - task[CALL_BUFFER]
        # A fault on the buffer tells how far the copy has come.
        if task[CALL_BUFFER] and 0 <= into < task[CALL_COUNT]:
            byte = min(max(byte, task[COPY_START] + into), task[COPY_LAST])
        advance(state, k, byte, t, c, False)
    owner = task[OWNER]
    space = mixed(owner + 1, state.processes[owner, P_IMAGE])
    # An address of the kernel's half is shifted as an unsigned one.
    page = page_number(state, mixed(space, (row[A] >> 21) & 0x7FFFFFFFFFF))
    state.totals[FAULTS] += 1
    begin_brief(state, k, t, c, _PAGE_FAULT, page, drawn(state, FAULT_HOLD, t, task[TID]))


@compiled_inside
def _ended(state, k):
    if abandon(state, k):
        state.totals[ENTRIES_OPEN] += 1
    tid = state.tasks[k, TID]
    # The numbers may be used again, by others.
    state.entries[place(state.entries, mixed(tid, 1)), 1] = -1
    for sort in range(11, 13):
        i = place(state.entries, mixed(tid, sort))
        if state.entries[i, 0] != 0:
            state.entries[i, 1] = -1


@compiled_inside
def room_needed(state, k, row):
    """Rows that the event can make at most."""
    task = state.tasks[k]
    need = 4
    if task[COPY]:
        need += (task[COPY_LAST] >> 12) - (task[COPY_AT] >> 12) + 2
    code = row[CODE]
    if code == WRITE_BEGIN or code == WRITE_END:
        need += row[C] >> 12
    elif code == EXIT or code == WHOLE:
        need += (
            max(row[B], 0) >> 12
            if row[A] == READ or row[A] == READ_AT or row[A] == WRITE or row[A] == WRITE_AT
            else 0
        )
    return need + 2


@compiled
def assemble(state, events, start):
    """Take events in from `start` on; return the position of the first not taken in, and its room.

    That is the number of events, or of one that makes more rows than `state.rows` has left or more pages
    than its map has room for: `grown` makes it.
    """
    totals = state.totals
    for position in range(start, len(events)):
        row = events[position]
        code, t = row[CODE], row[TIME]
        if code == LOST:
            totals[LOST_SAID] += 1
            if row[A] >= 0:
                totals[LOST_COUNT] += row[A]
            else:
                totals[LOST_UNKNOWN] += 1
            continue
        if totals[FIRST_TIME] < 0:
            totals[FIRST_TIME] = t
        # So far from the first event a time is damage; taken at its word, the trace would be too long.
        if t > totals[FIRST_TIME] + 3 * _LONGEST_NS or t < totals[FIRST_TIME] - _LONGEST_NS:
            totals[CLOCK_STEPS] += 1
            t = totals[CLOCK]
        totals[CLOCK] = max(totals[CLOCK], t)
        totals[LARGEST_CPU] = max(totals[LARGEST_CPU], row[CPU])
        tid = row[TASK]
        k = found_task(state, row[A] if code == SWITCH else tid)
        if k >= 0:
            need = room_needed(state, k, row)
        else:
            need = 4 + (max(row[C], 0) >> 12 if code == WRITE_BEGIN else 0)
        free = len(state.entries) // 2 - totals[N_ENTRIES]
        if need > len(state.rows) - totals[N_ROWS] or need > free:
            return position, need
        if code == SWITCH:
            _switch(state, row, t)
            continue
        # The idle task maps nothing.
        if tid == 0:
            continue
        if k < 0:
            if code == EXITED:
                continue
            if totals[N_TASKS] > 0:
                totals[TASKS_UNBORN] += 1
            if row[PROCESS] < 0:
                totals[OWNERS_UNKNOWN] += 1
            k = new_task(state, tid, process_of(state, row[PROCESS], tid, -1), t)
        task = state.tasks[k]
        if task[BORN] > 0:
            if task[BORN] == 1:
                task[OWNER] = process_of(state, row[PROCESS], tid, task[OWNER])
            task[BORN] = -1
        if t < task[LATEST]:
            if task[LATEST] - t > _STEP_NS:
                totals[CLOCK_STEPS] += 1
            t = task[LATEST]
        task[LATEST] = t
        task[ON_CPU] = row[CPU]
        if task[SINCE] < 0:
            if totals[SWITCHES] > 0 and task[USED] > 0:
                totals[SWITCHES_BACK] += 1
            comes_on(state, k, t)
        if row[NAME] != task[COMM]:
            if row[NAME] != 0 and task[COMM] != 0 and totals[EXEC_EVENTS] == 0:
                totals[EXECS_BY_NAME] += 1
                new_image(state, k)
            task[COMM] = row[NAME]
        c = cpu_time(state, k, t)
        settle(state, k, t, c)
        if code == FAULT:
            _fault(state, k, row, t, c)
        elif code == ENTER:
            enter(state, k, row, t)
        elif code == EXIT:
            leave(state, k, row, t, c)
        elif code == PAGES:
            looked_up_pages(state, k, row, t, c)
        elif code == WRITE_BEGIN:
            if task[COPY]:
                advance(state, k, task[COPY_LAST] + 1, t, c, True)
            if row[C] > 0:
                task[CALL_MADE] = 1
                begin_copy(state, k, t, c, _FROM_USER, row[A], row[B], row[B] + row[C] - 1)
        elif code == WRITE_END:
            if task[COPY] and task[COPY_KIND] == _FROM_USER:
                end = min(task[COPY_START] + row[C], task[COPY_LAST] + 1)
                advance(state, k, max(end, task[COPY_AT]), t, c, True)
            else:
                totals[EXITS_ALONE] += 1
        elif code == WHOLE:
            if task[CALL] != NO_CALL:
                totals[ENTRIES_OPEN] += 1
                abandon(state, k)
            task[CALL], task[CALL_T], task[CALL_FD], task[CALL_AT] = row[A], t, row[C], row[D]
            task[CALL_FILE] = task[CALL_BUFFER] = 0
            t = max(t, min(t + row[G], totals[FIRST_TIME] + 3 * _LONGEST_NS))
            task[LATEST] = t
            leave(state, k, row, t, cpu_time(state, k, t))
        elif code == FORK:
            fork(state, k, row[A], row[B], t)
        elif code == EXEC:
            totals[EXECS] += 1
            totals[EXEC_EVENTS] += 1
            new_image(state, k)
        elif code == EXITED:
            _ended(state, k)
    return len(events), 0


@compiled
def watermark(state):
    """Earliest time at which an operation can still be written; ends what the clock has overtaken."""
    earliest = state.totals[CLOCK]
    for k in range(state.totals[N_TASKS]):
        task = state.tasks[k]
        if task[BRIEF]:
            if (
                state.totals[CLOCK] > task[BRIEF_T] + task[BRIEF_HOLD]
                and len(state.rows) > state.totals[N_ROWS]
            ):
                end_brief(state, k, task[BRIEF_C] + task[BRIEF_HOLD])
            else:
                earliest = min(earliest, task[BRIEF_T])
        if task[COPY]:
            earliest = min(earliest, task[OPEN_T] if task[OPEN] else task[MARK_T])
    return earliest


@compiled
def finish(state, start):
    """End the recording for tasks from `start` on; return the first that found no room."""
    for k in range(start, state.totals[N_TASKS]):
        task = state.tasks[k]
        loose = task[COPY] and task[COPY_LOOSE]
        pages = (task[COPY_LAST] >> 12) - (task[COPY_AT] >> 12) + 1 if loose else 0
        if len(state.rows) - state.totals[N_ROWS] < 4 + pages:
            return k
        t = max(task[LATEST], state.totals[CLOCK])
        settle(state, k, t, cpu_time(state, k, t))
        if abandon(state, k) or task[CALL] != NO_CALL:
            state.totals[CUT_BY_END] += 1
    return state.totals[N_TASKS]
