"""The trace as the engine sees it: chunks of rows in task order, read ahead of need.

A chunk holds consecutive rows of the trace, sorted by task, in a slot of `w.rows`; `w.chunk_start[slot]`
says where each task's rows begin. A task walks through its rows chunk by chunk. When it needs a row that is
not read yet, the engine stops and asks for the next chunk, so that results do not depend on how much was
read ahead. A slot is free again when all its rows were taken.
"""

from __future__ import annotations

from typing import Any

from pipeline.jit.marks import entry, inline
from pipeline.machine.engine import records
from pipeline.machine.engine.scheduler import set_timer
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes

NO_MORE = -1
NOT_READ = -2


@inline
def peek(w: MachineState, task: int) -> int:
    """Return where the task's next row is, NO_MORE, or NOT_READ."""
    tk = w.tasks[task]
    if tk.rows_left == 0:
        return NO_MORE
    while tk.at == tk.end:
        chunk = tk.chunk + 1
        if chunk >= w.machine[0].chunks:
            return NOT_READ
        tk.chunk = chunk
        slot = w.chunk_slot[chunk]
        if slot >= 0:
            first = slot * w.machine[0].chunk_rows
            start = slot * (w.machine[0].tasks + 1) + task
            tk.at = first + w.chunk_start[start]
            tk.end = first + w.chunk_start[start + 1]
    return tk.at


@inline
def take(w: MachineState, task: int, at: int) -> int:
    """Start the request of row `at`, one level inside what the task has mapped; return its number."""
    m = w.machine[0]
    tk = w.tasks[task]
    row = w.rows[at]
    tk.at += 1
    tk.rows_left -= 1
    slot = w.chunk_slot[tk.chunk]
    w.chunk_left[slot] -= 1
    if w.chunk_left[slot] == 0:
        w.chunk_slot[tk.chunk] = -1
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
    # Zeroed here, not when it asks: a nested operation may wait for its CPU before that.
    r.pin_wait_ns = 0
    r.unmapping = codes.MAP
    r.hold_left_ns = row.hold_ns
    r.block_left_ns = row.block_ns
    r.prefaulted_ns = 0
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
    """Return how long the task has to wait off CPU before it begins row `at`.

    Inside a mapping that it has blocked for beforehand, what it waits for has come: see actions.PREFAULT.
    """
    tk = w.tasks[task]
    wait_ns = w.rows[at].wait_ns
    if tk.depth >= 0:
        wait_ns = max(wait_ns - w.requests[task * w.machine[0].levels + tk.depth].prefaulted_ns, 0)
    return wait_ns


@inline
def when(w: MachineState, task: int, at: int, t: int) -> int:
    """Return when the task, free since `t`, can begin to compute towards row `at`; set what it computes.

    closed: after the row's wait. timed: early enough to ask at the recorded time, or now if that is past;
    a late task computes only as long as there is time left.
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
def admit(w: MachineState, chunk: int, slot: int, rows: int, horizon_ns: int, complete: int) -> None:
    """Let the engine use chunk number `chunk`, which lies in `slot`.

    No row still unread can make a task do anything before `horizon_ns`. Tasks that have waited for a row of
    this chunk, or begin with one, get their timer. A first operation begins at its recorded time.
    """
    m = w.machine[0]
    w.chunk_slot[chunk] = slot
    w.chunk_left[slot] = rows
    m.chunks = chunk + 1
    m.horizon_ns = horizon_ns
    m.complete = complete
    start = slot * (m.tasks + 1)
    for task in range(m.tasks):
        tk = w.tasks[task]
        if tk.state != records.T_DORMANT or w.chunk_start[start + task] == w.chunk_start[start + task + 1]:
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


@entry
def arrange(
    w: MachineState, slot: int, n: int, first_op: int, task: Any, time_ns: Any, think_ns: Any, wait_ns: Any,
    hold_ns: Any, block_ns: Any, page: Any, kind: Any, depth: Any,
) -> int:  # fmt: skip
    """Sort `n` rows, given as columns, by task into `slot` of `w.rows`, keeping each task's order.

    Returns -1, or the index of the first row whose task number does not exist.
    """
    tasks = w.machine[0].tasks
    start = slot * (tasks + 1)
    for q in range(tasks + 1):
        w.chunk_start[start + q] = 0
    for k in range(n):
        if task[k] < 0 or task[k] >= tasks:
            return k
        w.chunk_start[start + task[k] + 1] += 1
    for q in range(tasks):
        w.chunk_start[start + q + 1] += w.chunk_start[start + q]
    base = slot * w.machine[0].chunk_rows
    for k in range(n):
        place = start + task[k]
        row = w.rows[base + w.chunk_start[place]]
        w.chunk_start[place] += 1
        row.time_ns = time_ns[k]
        row.think_ns = think_ns[k]
        row.wait_ns = wait_ns[k]
        row.hold_ns = hold_ns[k]
        row.block_ns = block_ns[k]
        row.page = page[k]
        row.op = first_op + k
        row.kind = kind[k]
        row.depth = depth[k]
    # Filling has moved each task's beginning to its end, which is the next task's beginning.
    for q in range(tasks, 0, -1):
        w.chunk_start[start + q] = w.chunk_start[start + q - 1]
    w.chunk_start[start] = 0
    return -1


@inline
def end_task(w: MachineState, task: int) -> None:
    """The task has done its last operation."""
    w.tasks[task].state = records.T_ENDED
    w.machine[0].live -= 1
