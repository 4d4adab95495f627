"""Compiled event loop: update the tasks' states with each neutral event and build operations."""
# ruff: noqa: PLR1714
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing import events as ev
from pipeline.importing.hashing import mix, place
from pipeline.importing.reconstruct import identities, operations
from pipeline.importing.reconstruct.calls import begin_task, enter, find_maker, leave, look_up_pages
from pipeline.importing.reconstruct.hold_lengths import FAULT_HOLDS
from pipeline.jit.loops import compiled, compiled_inside
from pipeline.schema.names import KINDS
from pipeline.schema.trace import MAX_TIME_NS

_PAGE_FAULT, _FROM_USER = KINDS.index("page_fault"), KINDS.index("copy_from_user")

# Printed times are truncated to microseconds, and the clocks of CPUs differ slightly, so that smaller
# backward steps are not counted.
_STEP_NS = 10_000
# A quarter of the maximum span of a trace.
_LONGEST_NS = MAX_TIME_NS >> 2


@compiled_inside
def _switch(state, row, t):
    totals = state.totals[0]
    totals.switches += 1
    k = identities.find_task(state, row.leaving)
    if k >= 0 and state.tasks[k].since >= 0:
        task = state.tasks[k]
        t_task = max(t, task.latest)
        task.latest = task.said = t_task
        c = operations.cpu_time(state, k, t_task)
        operations.settle(state, k, t_task, c)
        task.used = c
        task.since = -1
        task.copy_slept = row.flag
    k = identities.find_task(state, row.coming)
    if k >= 0 and state.tasks[k].since < 0:
        task = state.tasks[k]
        task.latest = max(t, task.latest)
        task.on_cpu = row.cpu
        identities.put_on_cpu(state, k, task.latest)


@compiled_inside
def _fault(state, k, row, t, c):
    task = state.tasks[k]
    if task.copying and not row.flag:
        # User code runs again, so the end of the call is missing.
        if operations.abandon(state, k):
            state.totals[0].entries_open += 1
        task.call = ev.NO_CALL
    if task.copying:
        byte = task.copy_at
        into = row.address - task.call_buffer
        # A fault in the buffer shows the progress of the copy.
        if task.call_buffer and 0 <= into < task.call_count:
            byte = min(max(byte, task.copy_start + into), task.copy_last)
        operations.advance(state, k, byte, t, c, False)
    owner = task.owner
    space = mix(owner + 1, state.processes[owner].image)
    # Shift kernel addresses as unsigned numbers.
    bits = state.totals[0].span_bits
    page = operations.number_page(state, mix(space, (row.address >> bits) & ((1 << (64 - bits)) - 1)))
    state.totals[0].faults += 1
    operations.begin_brief(
        state, k, t, c, _PAGE_FAULT, page, operations.draw_hold(state, FAULT_HOLDS, t, task.tid)
    )


@compiled_inside
def _end_task(state, k):
    if operations.abandon(state, k):
        state.totals[0].entries_open += 1
    tid = state.tasks[k].tid
    # The kernel may reuse the numbers.
    state.entries[place(state, mix(tid, 1))].first = -1
    for sort in range(11, 13):
        i = place(state, mix(tid, sort))
        if state.entries[i].key != 0:
            state.entries[i].first = -1


@compiled_inside
def count_rows_needed(state, k, row):
    """Return the maximum number of rows that the event can add."""
    task = state.tasks[k]
    need = 4
    if task.copying:
        need += operations.count_pages(state, task.copy_at, task.copy_last) + 1
    if row.code == ev.WRITE_BEGIN or row.code == ev.WRITE_END:
        need += row.count >> state.totals[0].page_bits
    elif row.code == ev.EXIT or row.code == ev.WHOLE:
        if ev.copies_file(row.call) or row.call == ev.SPLICE:
            need += max(row.result, 0) >> state.totals[0].page_bits
        elif row.call == ev.CLONE:
            need += state.processes[state.processes[task.owner].table].fds
    elif row.code == ev.FORK:
        need += state.processes[state.processes[task.owner].table].fds
    return need + 2


@compiled
def assemble(state, events, start, stop):
    """Process the events [start, stop); return the position of the first unprocessed event, and its room.

    The position is `stop`, or that of an event that adds more rows than `state.rows` has left or more pages
    than the map of entries has room for. `grow` makes room.
    """
    totals = state.totals[0]
    for position in range(start, stop):
        row = events.events[position]
        code, t = row.code, row.time
        if code == ev.LOST:
            totals.lost_said += 1
            if row.count >= 0:
                totals.lost_count += row.count
            else:
                totals.lost_unknown += 1
            continue
        if totals.first_time < 0:
            totals.first_time = t
        # A time this far from the first event is damage, and would make the trace too long.
        if t > totals.first_time + 3 * _LONGEST_NS or t < totals.first_time - _LONGEST_NS:
            totals.clock_steps += 1
            t = totals.clock
        totals.clock = max(totals.clock, t)
        totals.largest_cpu = max(totals.largest_cpu, row.cpu)
        tid = row.task
        k = identities.find_task(state, row.leaving if code == ev.SWITCH else tid)
        if k >= 0:
            need = count_rows_needed(state, k, row)
        else:
            maker = find_maker(state)
            need = 4 + (
                state.processes[state.processes[state.tasks[maker].owner].table].fds if maker >= 0 else 0
            )
            need += max(row.count, 0) >> totals.page_bits if code == ev.WRITE_BEGIN else 0
        free = totals.places // 2 - totals.n_entries
        if need > totals.room - totals.n_rows or need > free:
            return position, need
        if code == ev.SWITCH:
            _switch(state, row, t)
            continue
        # The idle task maps nothing.
        if tid == 0:
            continue
        if k < 0:
            if code == ev.EXITED:
                continue
            maker = find_maker(state) if row.process < 0 else -1
            if maker >= 0:
                begin_task(state, maker, tid, state.tasks[maker].call_buffer, t)
                k = identities.find_task(state, tid)
            else:
                if row.process < 0:
                    totals.owners_unknown += 1
                k = identities.add_task(
                    state, tid, identities.find_or_add_process(state, row.process, tid, -1), t
                )
        task = state.tasks[k]
        if task.born > 0:
            if task.born == 1:
                task.owner = identities.find_or_add_process(state, row.process, tid, task.owner)
            task.born = -1
        task.has_process = row.process >= 0
        if t < task.latest:
            if task.said - t > _STEP_NS:
                totals.clock_steps += 1
            task.said = t
            t = task.latest
        else:
            task.said = t
        task.latest = t
        task.on_cpu = row.cpu
        if task.since < 0:
            if totals.switches > 0 and task.used > 0:
                totals.switches_back += 1
            identities.put_on_cpu(state, k, t)
        # 0: unknown. A thread that changes its name has not called exec, because exec makes it the leader.
        if row.name != 0 and row.name != task.comm:
            leader = row.process < 0 or row.process == tid
            if leader and task.comm != 0 and totals.exec_events == 0:
                totals.execs_by_name += 1
                identities.replace_image(state, k)
            task.comm = row.name
        c = operations.cpu_time(state, k, t)
        operations.settle(state, k, t, c)
        if code == ev.FAULT:
            _fault(state, k, row, t, c)
        elif code == ev.ENTER:
            enter(state, k, row, t)
        elif code == ev.EXIT:
            leave(state, k, row, t, c)
        elif code == ev.PAGES:
            look_up_pages(state, k, row, t, c)
        elif code == ev.WRITE_BEGIN:
            if task.copying:
                operations.advance(state, k, task.copy_last + 1, t, c, True)
            if row.count > 0:
                task.call_made = 1
                last = row.position + row.count - 1
                operations.begin_copy(state, k, t, c, _FROM_USER, row.file, row.position, last)
        elif code == ev.WRITE_END:
            if task.copying and task.copy_kind == _FROM_USER:
                end = min(task.copy_start + row.count, task.copy_last + 1)
                operations.advance(state, k, max(end, task.copy_at), t, c, True)
            else:
                totals.exits_alone += 1
        elif code == ev.WHOLE:
            if task.call != ev.NO_CALL:
                totals.entries_open += 1
                operations.abandon(state, k)
            task.call, task.call_t, task.call_fd, task.call_at = (
                row.call, t, row.fd, row.position,
            )  # fmt: skip
            task.call_file = task.call_buffer = 0
            t = max(t, min(t + row.duration, totals.first_time + 3 * _LONGEST_NS))
            task.latest = t
            leave(state, k, row, t, operations.cpu_time(state, k, t))
        elif code == ev.FORK:
            begin_task(state, k, row.coming, row.flag, t)
        elif code == ev.EXEC:
            totals.execs += 1
            totals.exec_events += 1
            identities.replace_image(state, k)
        elif code == ev.EXITED:
            _end_task(state, k)
    return stop, 0


@compiled
def find_watermark(state):
    """Return the earliest time of a row that may still be added; end mappings that the clock has passed."""
    earliest = state.totals[0].clock
    for k in range(state.totals[0].n_tasks):
        task = state.tasks[k]
        if task.brief:
            if (
                state.totals[0].clock > task.brief_t + task.brief_hold
                and state.totals[0].room > state.totals[0].n_rows
            ):
                operations.end_brief(state, k, task.brief_c + task.brief_hold)
            else:
                earliest = min(earliest, task.brief_t)
        if task.copying:
            earliest = min(earliest, task.page_t if task.page_open else task.mark_t)
    return earliest


@compiled
def finish(state, start):
    """End the recording for tasks from `start` on; return the first task without room for its rows."""
    for k in range(start, state.totals[0].n_tasks):
        task = state.tasks[k]
        loose = task.copying and task.copy_loose
        pages = operations.count_pages(state, task.copy_at, task.copy_last) if loose else 0
        if state.totals[0].room - state.totals[0].n_rows < 4 + pages:
            return k
        t = max(task.latest, state.totals[0].clock)
        operations.settle(state, k, t, operations.cpu_time(state, k, t))
        if operations.abandon(state, k) or task.call != ev.NO_CALL:
            state.totals[0].cut_by_end += 1
            if task.number < 0:
                operations.count_unborn(state, k)
    return state.totals[0].n_tasks
