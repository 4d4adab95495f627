"""Compiled: the operations of one task, from its faults and copies. `k` is a task's row in `State.tasks`.

Times come in pairs, `t` of the clock and `c` of the CPU time that the task had used by then.
"""
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing.reconstruct.hash_map import place
from pipeline.importing.reconstruct.state import (
    BRIEF,
    BRIEF_C,
    BRIEF_DEPTH,
    BRIEF_HOLD,
    BRIEF_KIND,
    BRIEF_PAGE,
    BRIEF_SEQ,
    BRIEF_T,
    BRIEF_THINK,
    BRIEF_WAIT,
    COPIES,
    COPY,
    COPY_AT,
    COPY_FILE,
    COPY_HOLD,
    COPY_KIND,
    COPY_LAST,
    COPY_LOOSE,
    COPY_SLEPT,
    COPY_START,
    END_C,
    END_T,
    MARK_C,
    MARK_T,
    MOVED,
    N_ENTRIES,
    N_PAGES,
    N_ROWS,
    NEST_C,
    NEST_T,
    NUMBER,
    ON_CPU,
    OPEN,
    OPEN_C,
    OPEN_SEQ,
    OPEN_T,
    OPEN_THINK,
    OPEN_WAIT,
    OWNER,
    P_NUMBER,
    PROCESS_NUMBERS,
    R_BLOCK,
    R_BYTES,
    R_CPU,
    R_DEPTH,
    R_HOLD,
    R_KIND,
    R_PAGE,
    R_PROCESS,
    R_SEQ,
    R_TASK,
    R_THINK,
    R_TIME,
    R_WAIT,
    SEQ,
    SINCE,
    SWITCHES,
    TASK_NUMBERS,
    USED,
    WRITTEN_UP_TO,
)
from pipeline.importing.text.characters import mixed
from pipeline.jit.loops import compiled_inside

# Without the scheduler's events: an interval between operations holds at most this much CPU time, as
# importers.kmap_local has it.
LONGEST_THINK_NS = 10_000_000


@compiled_inside
def cpu_time(state, k, t):
    """CPU time that the task has used at `t`, counted from its first event."""
    since = state.tasks[k, SINCE]
    return state.tasks[k, USED] + (t - since if since >= 0 else 0)


@compiled_inside
def page_number(state, key):
    """Number of the page of that key, a new one if it was never mapped."""
    i = place(state.entries, key)
    if state.entries[i, 0] == 0:
        state.entries[i, 0] = key
        state.entries[i, 1] = state.totals[N_PAGES]
        state.totals[N_ENTRIES] += 1
        state.totals[N_PAGES] += 1
    return state.entries[i, 1]


@compiled_inside
def drawn(state, sort, a, b):
    """Draw a hold of that sort, by a hash of its occasion: the same recording gives the same trace."""
    holds = state.holds
    u = (mixed(a, b) >> 10) & 0xFFFFFFFFFFFF
    scaled = u * (holds.shape[1] - 1)
    low = scaled >> 48
    part = (scaled & 0xFFFFFFFFFFFF) >> 16
    return holds[sort, low] + (((holds[sort, low + 1] - holds[sort, low]) * part) >> 32)


@compiled_inside
def _sequence(state):
    state.totals[SEQ] += 1
    return state.totals[SEQ]


@compiled_inside
def _gap(state, k, t, c):
    """Think and wait since the task's previous outermost operation."""
    task = state.tasks[k]
    if task[END_T] < 0:
        return 0, 0
    gap = max(t - task[END_T], 0)
    think = min(max(c - task[END_C], 0), gap)
    if state.totals[SWITCHES] == 0:
        think = min(think, LONGEST_THINK_NS)
    return think, gap - think


@compiled_inside
def _write(state, k, t, seq, kind, page, size, think, wait, hold, block, depth):
    totals = state.totals
    row = state.rows[totals[N_ROWS]]
    totals[N_ROWS] += 1
    task = state.tasks[k]
    process = state.processes[task[OWNER]]
    if task[NUMBER] < 0:
        task[NUMBER] = totals[TASK_NUMBERS]
        totals[TASK_NUMBERS] += 1
    if process[P_NUMBER] < 0:
        process[P_NUMBER] = totals[PROCESS_NUMBERS]
        totals[PROCESS_NUMBERS] += 1
    if t < totals[WRITTEN_UP_TO]:
        totals[MOVED] += 1
        t = totals[WRITTEN_UP_TO]
    row[R_TIME], row[R_SEQ], row[R_TASK], row[R_PROCESS] = t, seq, task[NUMBER], process[P_NUMBER]
    row[R_CPU], row[R_KIND], row[R_PAGE], row[R_BYTES] = task[ON_CPU], kind, page, size
    row[R_THINK], row[R_WAIT], row[R_HOLD], row[R_BLOCK], row[R_DEPTH] = think, wait, hold, block, depth


@compiled_inside
def begin_brief(state, k, t, c, kind, page, hold):
    """Begin a mapping whose end nothing shows; it is nested if a page of a copy is open."""
    task = state.tasks[k]
    depth = 1 if task[OPEN] else 0
    if depth:
        think = max(c - task[NEST_C], 0)
        wait = max(t - task[NEST_T] - think, 0)
    else:
        think, wait = _gap(state, k, t, c)
    task[BRIEF], task[BRIEF_SEQ], task[BRIEF_T], task[BRIEF_C] = 1, _sequence(state), t, c
    task[BRIEF_HOLD], task[BRIEF_THINK], task[BRIEF_WAIT] = hold, think, wait
    task[BRIEF_DEPTH], task[BRIEF_PAGE], task[BRIEF_KIND] = depth, page, kind


@compiled_inside
def end_brief(state, k, c):
    """End it after its drawn hold, or at CPU time `c`, the task's next event, if that is earlier."""
    task = state.tasks[k]
    if task[BRIEF] == 0:
        return
    task[BRIEF] = 0
    hold = min(task[BRIEF_HOLD], max(c - task[BRIEF_C], 0))
    _write(
        state, k, task[BRIEF_T], task[BRIEF_SEQ], task[BRIEF_KIND], task[BRIEF_PAGE], -1, task[BRIEF_THINK],
        task[BRIEF_WAIT], hold, 0, task[BRIEF_DEPTH],
    )  # fmt: skip
    # Nothing happened meanwhile, so the task was on its CPU.
    t, c = task[BRIEF_T] + hold, task[BRIEF_C] + hold
    if task[BRIEF_DEPTH]:
        task[NEST_T], task[NEST_C] = t, c
        task[MARK_T], task[MARK_C] = max(task[MARK_T], t), max(task[MARK_C], c)
    else:
        task[END_T], task[END_C] = t, c


@compiled_inside
def begin_copy(state, k, t, c, kind, file, first, last):
    """Begin to copy bytes `first` to `last` of a file's pages."""
    task = state.tasks[k]
    task[COPY], task[COPY_FILE], task[COPY_KIND] = 1, file, kind
    task[COPY_START], task[COPY_AT], task[COPY_LAST] = first, first, last
    task[COPY_SLEPT] = task[COPY_LOOSE] = task[OPEN] = 0
    task[MARK_T], task[MARK_C] = t, c


@compiled_inside
def advance(state, k, byte, t, c, final):
    """Bytes before `byte` have been copied at `t`: write the pages that are done, time divided evenly.

    If it is not `final`, the page that holds `byte` is opened and stays so.
    """
    task = state.tasks[k]
    page = task[COPY_AT] >> 12
    last = (byte - 1) >> 12 if final else byte >> 12
    shares = last - page + 1
    if byte <= task[COPY_START] and final:
        shares = 0
    # A page that holds nested operations is written even if the call then says that it moved less.
    if task[OPEN]:
        shares = max(shares, 1)
    mark_t, mark_c = task[MARK_T], task[MARK_C]
    t, c = max(t, mark_t), max(c, mark_c)
    for s in range(shares):
        if not (s == 0 and task[OPEN]):
            begin_t = mark_t + (t - mark_t) * s // shares
            begin_c = mark_c + (c - mark_c) * s // shares
            think, wait = _gap(state, k, begin_t, begin_c)
            task[OPEN], task[OPEN_SEQ], task[OPEN_T], task[OPEN_C] = 1, _sequence(state), begin_t, begin_c
            task[OPEN_THINK], task[OPEN_WAIT] = think, wait
            task[NEST_T], task[NEST_C] = begin_t, begin_c
        if s == shares - 1 and not final:
            break
        end_t = mark_t + (t - mark_t) * (s + 1) // shares
        end_c = mark_c + (c - mark_c) * (s + 1) // shares
        whole = end_t - task[OPEN_T]
        hold = min(max(end_c - task[OPEN_C], 0), whole)
        size = min(byte, (page + s + 1) << 12) - max(task[COPY_START], (page + s) << 12)
        key = mixed(task[COPY_FILE] + 2, page + s)
        state.totals[COPIES] += 1
        _write(
            state, k, task[OPEN_T], task[OPEN_SEQ], task[COPY_KIND], page_number(state, key), max(size, 0),
            task[OPEN_THINK], task[OPEN_WAIT], hold, whole - hold, 0,
        )  # fmt: skip
        task[OPEN] = 0
        task[END_T], task[END_C] = end_t, end_c
    task[COPY_AT] = max(byte, task[COPY_AT])
    task[MARK_T], task[MARK_C] = t, c
    if final:
        task[COPY] = 0


@compiled_inside
def settle(state, k, t, c):
    """End what only the task's next event, at `t`, can end."""
    end_brief(state, k, c)
    task = state.tasks[k]
    if task[COPY] and task[COPY_LOOSE]:
        pages = (task[COPY_LAST] >> 12) - (task[COPY_AT] >> 12) + 1
        hold = 0
        for i in range(pages):
            hold += drawn(state, COPY_HOLD, task[MARK_T], i)
        hold = min(hold, max(c - task[MARK_C], 0))
        advance(state, k, task[COPY_LAST] + 1, task[MARK_T] + hold, task[MARK_C] + hold, True)


@compiled_inside
def abandon(state, k):
    """Give up a copy whose end was not seen; a page with nested operations is written all the same."""
    task = state.tasks[k]
    given_up = task[COPY] and not task[COPY_LOOSE]
    if task[COPY] and task[OPEN]:
        advance(state, k, task[COPY_AT], task[MARK_T], task[MARK_C], True)
    task[COPY] = task[OPEN] = 0
    return given_up
