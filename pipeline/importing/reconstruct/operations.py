"""Compiled construction of a task's operations from its faults and copies.

`k` is a task's row in `state.tasks`. Times are pairs: `t` is the clock, and `c` the CPU time that the task
had used by then.
"""
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing.hashing import mix, place
from pipeline.importing.mappings import THINK_SPLIT
from pipeline.importing.reconstruct.hold_lengths import COPY_HOLDS, HOLD_STEPS
from pipeline.jit.loops import compiled_inside

# Without scheduler events, an interval between operations has at most this much CPU time.
LONGEST_THINK_NS = THINK_SPLIT.longest_cpu_ns


@compiled_inside
def cpu_time(state, k, t):
    """Return the CPU time that the task has used at `t`, counted from its first event."""
    since = state.tasks[k].since
    return state.tasks[k].used + (t - since if since >= 0 else 0)


@compiled_inside
def number_page(state, key):
    """Return the number of the page with this key, a new number if it was never mapped."""
    i = place(state, key)
    if state.entries[i].key == 0:
        state.entries[i].key = key
        state.entries[i].first = state.totals[0].n_pages
        state.totals[0].n_entries += 1
        state.totals[0].n_pages += 1
    return state.entries[i].first


@compiled_inside
def draw_hold(state, first, a, b):
    """Draw a hold time from the distribution at `first`, by a hash, so that imports are reproducible."""
    u = (mix(a, b) >> 10) & 0xFFFFFFFFFFFF
    scaled = u * HOLD_STEPS
    low = scaled >> 48
    part = (scaled & 0xFFFFFFFFFFFF) >> 16
    hold, next_hold = state.holds[first + low], state.holds[first + low + 1]
    return hold + (((next_hold - hold) * part) >> 32)


@compiled_inside
def draw_copy_hold(state, pages, t):
    """Draw the total hold time of a copy of `pages` pages at `t`."""
    hold = 0
    for i in range(pages):
        hold += draw_hold(state, COPY_HOLDS, t, i)
    return hold


@compiled_inside
def count_pages(state, first, last):
    """Return the number of pages that contain the bytes from `first` to `last`."""
    bits = state.totals[0].page_bits
    return (last >> bits) - (first >> bits) + 1


@compiled_inside
def _sequence(state):
    state.totals[0].seq += 1
    return state.totals[0].seq


@compiled_inside
def _gap(state, k, t, c):
    """Return the think and wait times since the task's previous outermost operation."""
    task = state.tasks[k]
    if task.end_t < 0:
        return 0, 0
    gap = max(t - task.end_t, 0)
    think = min(max(c - task.end_c, 0), gap)
    if state.totals[0].switches == 0:
        think = min(think, LONGEST_THINK_NS)
    return think, gap - think


@compiled_inside
def count_unborn(state, k):
    """Count a task without a recorded start; the first task of a recording never has one."""
    if k > 0 and state.tasks[k].born == 0:
        state.totals[0].tasks_unborn += 1


@compiled_inside
def _add_row(state, k, t, seq):
    """Add a row of the task that begins at `t`; the caller sets the other fields."""
    totals = state.totals[0]
    row = state.rows[totals.n_rows]
    totals.n_rows += 1
    task = state.tasks[k]
    process = state.processes[task.owner]
    if task.number < 0:
        count_unborn(state, k)
        task.number = totals.task_numbers
        totals.task_numbers += 1
    if process.number < 0:
        process.number = totals.process_numbers
        totals.process_numbers += 1
    if t < totals.written_up_to:
        totals.moved += 1
        t = totals.written_up_to
    row.time_ns, row.seq, row.task, row.process, row.cpu = t, seq, task.number, process.number, task.on_cpu
    return row


@compiled_inside
def begin_brief(state, k, t, c, kind, page, hold):
    """Begin a mapping without a recorded end; it is nested if a page of a copy is open."""
    task = state.tasks[k]
    depth = 1 if task.page_open else 0
    if depth:
        think = max(c - task.nest_c, 0)
        wait = max(t - task.nest_t - think, 0)
    else:
        think, wait = _gap(state, k, t, c)
    task.brief, task.brief_seq, task.brief_t, task.brief_c = 1, _sequence(state), t, c
    task.brief_hold, task.brief_think, task.brief_wait = hold, think, wait
    task.brief_depth, task.brief_page, task.brief_kind = depth, page, kind


@compiled_inside
def end_brief(state, k, c):
    """End such a mapping after its drawn hold, or at the task's next event, at CPU time `c`, if earlier."""
    task = state.tasks[k]
    if task.brief == 0:
        return
    task.brief = 0
    hold = min(task.brief_hold, max(c - task.brief_c, 0))
    row = _add_row(state, k, task.brief_t, task.brief_seq)
    row.kind, row.page, row.bytes, row.depth = task.brief_kind, task.brief_page, -1, task.brief_depth
    row.think_ns, row.wait_ns, row.hold_ns, row.block_ns = task.brief_think, task.brief_wait, hold, 0
    # There was no event in between, so the task was on its CPU.
    t, c = task.brief_t + hold, task.brief_c + hold
    if task.brief_depth:
        task.nest_t, task.nest_c = t, c
        task.mark_t, task.mark_c = max(task.mark_t, t), max(task.mark_c, c)
    else:
        task.end_t, task.end_c = t, c


@compiled_inside
def begin_copy(state, k, t, c, kind, file, first, last):
    """Begin a copy of the bytes `first` to `last` of a file's pages."""
    task = state.tasks[k]
    task.copying, task.copy_file, task.copy_kind = 1, file, kind
    task.copy_start, task.copy_at, task.copy_last = first, first, last
    task.copy_slept = task.copy_loose = task.page_open = 0
    task.mark_t, task.mark_c = t, c


@compiled_inside
def advance(state, k, byte, t, c, final):
    """Add rows for the pages before `byte`, which were copied by `t`, with the time divided evenly.

    Unless `final`, the page that contains `byte` is opened and stays open.
    """
    task = state.tasks[k]
    bits = state.totals[0].page_bits
    page = task.copy_at >> bits
    last = (byte - 1) >> bits if final else byte >> bits
    shares = last - page + 1
    if byte <= task.copy_start and final:
        shares = 0
    # A page with nested operations is written even if the call reports that it copied fewer bytes.
    if task.page_open:
        shares = max(shares, 1)
    mark_t, mark_c = task.mark_t, task.mark_c
    t, c = max(t, mark_t), max(c, mark_c)
    for s in range(shares):
        if not (s == 0 and task.page_open):
            begin_t = mark_t + (t - mark_t) * s // shares
            begin_c = mark_c + (c - mark_c) * s // shares
            think, wait = _gap(state, k, begin_t, begin_c)
            task.page_open, task.page_seq, task.page_t, task.page_c = 1, _sequence(state), begin_t, begin_c
            task.page_think, task.page_wait = think, wait
            task.nest_t, task.nest_c = begin_t, begin_c
        if s == shares - 1 and not final:
            break
        end_t = mark_t + (t - mark_t) * (s + 1) // shares
        end_c = mark_c + (c - mark_c) * (s + 1) // shares
        whole = end_t - task.page_t
        hold = min(max(end_c - task.page_c, 0), whole)
        size = min(byte, (page + s + 1) << bits) - max(task.copy_start, (page + s) << bits)
        key = mix(task.copy_file + 2, page + s)
        state.totals[0].copies += 1
        row = _add_row(state, k, task.page_t, task.page_seq)
        row.kind, row.page, row.bytes, row.depth = task.copy_kind, number_page(state, key), max(size, 0), 0
        row.think_ns, row.wait_ns, row.hold_ns, row.block_ns = (
            task.page_think, task.page_wait, hold, whole - hold,
        )  # fmt: skip
        task.page_open = 0
        task.end_t, task.end_c = end_t, end_c
    task.copy_at = max(byte, task.copy_at)
    task.mark_t, task.mark_c = t, c
    if final:
        task.copying = 0


@compiled_inside
def settle(state, k, t, c):
    """End mappings that end at the latest with the task's next event, at `t`."""
    end_brief(state, k, c)
    task = state.tasks[k]
    if task.copying and task.copy_loose:
        pages = count_pages(state, task.copy_at, task.copy_last)
        hold = min(draw_copy_hold(state, pages, task.mark_t), max(c - task.mark_c, 0))
        advance(state, k, task.copy_last + 1, task.mark_t + hold, task.mark_c + hold, True)


@compiled_inside
def abandon(state, k):
    """Abandon a copy without a recorded end; a page with nested operations is still written."""
    task = state.tasks[k]
    given_up = task.copying and not task.copy_loose
    if task.copying and task.page_open:
        advance(state, k, task.copy_at, task.mark_t, task.mark_c, True)
    task.copying = task.page_open = 0
    return given_up
