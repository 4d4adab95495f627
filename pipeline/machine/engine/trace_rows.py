"""The engine's view of the trace: chunks of rows in task order, read in advance.

A chunk holds consecutive rows of the trace in a slot of `w.rows`. The rows of each task in a chunk are stored
together as a run. `w.runs` has a record for each row, of which only that of the first row of a run is used.
The runs that a task has not begun form a chain from `task.next_run` to `task.last_run`. If a task needs a row
that has not been read, the engine stops and requests the next chunk, so results do not depend on how many
rows were read in advance. A slot is free again after all its rows were taken.

The size of the tables therefore depends on the rows that are read but not taken, not on the number of tasks.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api.traits import AREAS
from pipeline.jit.marks import entry, inline
from pipeline.machine.engine import records
from pipeline.machine.engine.agenda import set_timer
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes

NO_MORE = -1
NOT_READ = -2


@inline
def peek(w: MachineState, task: int) -> int:
    """Return the index of the task's next row, NO_MORE, or NOT_READ."""
    tk = w.tasks[task]
    if tk.rows_left == 0:
        return NO_MORE
    if tk.at == tk.end:
        first = tk.next_run
        if first < 0:
            return NOT_READ
        run = w.runs[first]
        tk.at = first
        tk.end = first + run.rows
        tk.chunk_slot = first // w.machine[0].chunk_rows
        tk.next_run = run.next
    return tk.at


@inline
def take(w: MachineState, task: int, at: int) -> int:
    """Start the request of row `at`, one level inside the task's mappings; return its number."""
    m = w.machine[0]
    tk = w.tasks[task]
    row = w.rows[at]
    tk.at += 1
    tk.rows_left -= 1
    w.chunk_left[tk.chunk_slot] -= 1
    tk.depth += 1
    i = task * m.levels + tk.depth
    r = w.requests[i]
    r.op = row.op
    r.page = row.page
    r.kind = row.kind
    r.depth = row.depth
    r.task = task
    r.process = tk.process
    r.slot = -1
    r.draws = 0
    # Set to 0 here and not at the request: a nested operation may wait for its CPU before its request.
    r.pin_wait_ns = 0
    r.unmapping = codes.MAP
    r.hold_left_ns = row.hold_ns
    r.block_left_ns = row.block_ns
    r.prefaulted_ns = 0
    if AREAS:
        r.part = row.part
        r.pages = row.pages
        r.mapping = row.mapping
        r.unmap_task = task
    if tk.depth > 0:
        outer = w.requests[i - 1]
        if outer.prefaulted_ns > 0:
            outer.prefaulted_ns = max(outer.prefaulted_ns - row.wait_ns, 0)
            r.prefaulted_ns = min(outer.prefaulted_ns, row.block_ns)
            r.block_left_ns -= r.prefaulted_ns
            outer.prefaulted_ns -= r.prefaulted_ns
        outer.hold_left_ns = max(outer.hold_left_ns - row.think_ns - row.hold_ns, 0)
        outer.block_left_ns = max(outer.block_left_ns - row.wait_ns - row.block_ns, 0)
    return i


@inline
def waits_ns(w: MachineState, task: int, at: int) -> int:
    """Return how long the task must wait off CPU before it begins row `at`, in ns.

    Inside a mapping for which the task blocked in advance, that part of the wait is over: see
    actions.PREFAULT.
    """
    tk = w.tasks[task]
    wait_ns = w.rows[at].wait_ns
    if tk.depth >= 0:
        wait_ns = max(wait_ns - w.requests[task * w.machine[0].levels + tk.depth].prefaulted_ns, 0)
    return wait_ns


@inline
def when(w: MachineState, task: int, at: int, t: int) -> int:
    """Return when the task, free since `t`, can begin to compute for row `at`; set its computing time.

    closed: after the row's wait. timed: early enough to make the request at the recorded time, or now if that
    is past; a late task computes only for the time that is left.
    """
    row = w.rows[at]
    tk = w.tasks[task]
    if w.machine[0].loop == records.CLOSED:
        tk.think_left_ns = row.think_ns
        return t + waits_ns(w, task, at)
    ready = max(t, row.time_ns - row.think_ns)
    tk.think_left_ns = max(row.time_ns - ready, 0)
    return ready


@entry
def admit(w: MachineState, slot: int, rows: int, horizon_ns: int, complete: int) -> None:
    """Let the engine use the chunk of `rows` rows in `slot`, the next one of the trace.

    No unread row can make a task act before `horizon_ns`. Tasks that have waited for a row of this chunk, or
    begin with one, get their timer. A first operation begins at its recorded time.
    """
    m = w.machine[0]
    w.chunk_left[slot] = rows
    m.horizon_ns = horizon_ns
    m.complete = complete
    first = slot * m.chunk_rows
    end = first + rows
    while first < end:
        run = w.runs[first]
        task = run.task
        tk = w.tasks[task]
        run.next = -1
        if tk.next_run < 0:
            tk.next_run = first
        else:
            w.runs[tk.last_run].next = first
        tk.last_run = first
        first += run.rows
        if tk.state != records.T_DORMANT:
            continue
        at = peek(w, task)
        row = w.rows[at]
        if tk.free_ns < 0:
            m.unstarted -= 1
            tk.think_left_ns = row.think_ns
            ready = max(row.time_ns - row.think_ns, 0)
        else:
            ready = when(w, task, at, tk.free_ns)
        take(w, task, at)
        set_timer(w, task, ready, records.R_THINK)
    set_limit(w)


@inline
def set_limit(w: MachineState) -> None:
    """Compute the time until which nothing but room in the log is needed."""
    m = w.machine[0]
    m.limit_ns = min(m.catch_up_ns, records.END_OF_TIME_NS)
    if needs_rows(w):
        m.limit_ns = min(m.limit_ns, m.horizon_ns)


@inline
def needs_rows(w: MachineState) -> bool:
    """Whether rows must be read before the simulation can pass the horizon: see `admit`."""
    m = w.machine[0]
    return m.complete == 0 and (m.unstarted > 0 or m.loop != records.CLOSED)


@entry
def arrange(
    w: MachineState, slot: int, n: int, first_op: int, task: Any, time_ns: Any, think_ns: Any, wait_ns: Any,
    hold_ns: Any, block_ns: Any, page: Any, kind: Any, depth: Any, part: Any, pages: Any, mapping: Any,
    given: int,
) -> int:  # fmt: skip
    """Arrange `n` rows, given as columns, in `slot` of `w.rows` task by task, keeping each task's order.

    `given` says which of the last three columns the trace has, as bits in their order; the others are empty.

    Returns -1, or the index of the first row whose task number does not exist.
    """
    places = w.places
    for k in range(n):
        if task[k] < 0 or task[k] >= w.machine[0].tasks:
            for j in range(k):
                places[task[j]] = 0
            return k
        places[task[k]] += 1
    free = slot * w.machine[0].chunk_rows
    for k in range(n):
        # Positive: the number of the task's rows. Negative: -1 minus the index of its next row.
        place = places[task[k]]
        if place > 0:
            run = w.runs[free]
            run.task = task[k]
            run.rows = place
            at = free
            free += place
        else:
            at = -1 - place
        places[task[k]] = -2 - at
        row = w.rows[at]
        row.time_ns = time_ns[k]
        row.think_ns = think_ns[k]
        row.wait_ns = wait_ns[k]
        row.hold_ns = hold_ns[k]
        row.block_ns = block_ns[k]
        row.page = page[k]
        row.op = first_op + k
        row.kind = kind[k]
        row.depth = depth[k]
        if AREAS:
            row.part = part[k] if given & 1 != 0 else codes.PART_WHOLE
            row.pages = max(pages[k], 1) if given & 2 != 0 else 1
            row.mapping = mapping[k] if given & 4 != 0 else -1
    for k in range(n):
        places[task[k]] = 0
    return -1


@inline
def end_task(w: MachineState, task: int) -> None:
    """End the task after its last operation."""
    w.tasks[task].state = records.T_ENDED
    w.machine[0].live -= 1
