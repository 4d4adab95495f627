"""One pass over the rows of a trace, in compiled code: what is wrong in it, and what it is like.

State, one entry per task unless said otherwise:

- `depth[t]`: depth of the task's latest row; -1: it has had none.
- `process[t]`: process of its first row.
- `begin`, `least_end`, `hold_left`, `block_left` [t, d]: of its latest row at depth d, valid for
  d <= depth[t]. The least end is time + hold + block: a row ends then or later, because getting mapped takes
  time that a trace does not hold. `*_left` is what of hold_ns and block_ns nested rows have not yet used.
- `last_row[p]`, one per page: the latest row that mapped page p, plus 1; 0: none.
"""

from __future__ import annotations

import numpy as np

from pipeline.jit.loops import compiled
from pipeline.schema.trace import KINDS, MAX_DEPTH, MAX_PAGE, MAX_TASKS, MAX_TIME_NS

# What can be wrong with a row; the position is the code.
ROW_PROBLEMS = (
    "time_order",
    "negative_time",
    "absurd_time",
    "unknown_kind",
    "task_range",
    "process_range",
    "page_range",
    "depth_range",
    "depth_jump",
    "overlap",
    "nested_before_parent",
    "nested_after_parent",
    "nested_uses_more",
    "process_changes",
)
(
    _TIME_ORDER, _NEGATIVE, _ABSURD, _KIND, _TASK, _PROCESS, _PAGE, _DEPTH, _JUMP, _OVERLAP, _BEFORE, _AFTER,
    _USES_MORE, _PROCESS_CHANGES,
) = range(len(ROW_PROBLEMS))  # fmt: skip

# Histogram of a duration or distance: values up to 255 have a bucket each; above, a bucket is 1/256 of its
# power of two, so a quantile read from it is at most 0.4 % too low.
_SUB = 8
BUCKETS = (64 - _SUB + 1) << _SUB

# Reuse needs 8 bytes per page; above this (256 GiB of mapped memory) it is left out.
REUSE_PAGES = 1 << 26

HISTOGRAMS = ("think_ns", "wait_ns", "hold_ns", "block_ns", "reuse")
_REUSE = 4


class Scan:
    """State and results of the pass: `count` and `first_row` per ROW_PROBLEMS, and the totals."""

    def __init__(self, pages: int) -> None:
        """Room for `pages` page numbers; reuse is left out if there are more than REUSE_PAGES."""
        self.rows = 0
        self.count = np.zeros(len(ROW_PROBLEMS), np.int64)
        self.first_row = np.full(len(ROW_PROBLEMS), -1, np.int64)
        self.kinds = np.zeros(len(KINDS), np.int64)
        self.histograms = np.zeros((len(HISTOGRAMS), BUCKETS), np.int64)
        self.maxima = np.zeros(len(HISTOGRAMS), np.int64)
        self.process = np.full(MAX_TASKS, -1, np.int64)
        self.process_seen = np.zeros(MAX_TASKS, np.bool_)
        # Largest time, page, depth, end so far.
        self.largest = np.full(4, -1, np.int64)
        self.measures_reuse = pages <= REUSE_PAGES
        self._depth = np.full(MAX_TASKS, -1, np.int8)
        self._levels = np.zeros((MAX_TASKS, MAX_DEPTH, 4), np.int64)
        self._last_row = np.zeros(max(pages, 0) if self.measures_reuse else 0, np.int64)

    def add(self, columns: dict[str, np.ndarray]) -> None:
        """Take in the next rows: columns of the trace as int64, int32 or int8 arrays of one length."""
        _scan(
            self.rows,
            columns["time_ns"], columns["task"], columns["process"], columns["kind"], columns["page"],
            columns["think_ns"], columns["wait_ns"], columns["hold_ns"], columns["block_ns"],
            columns["depth"],
            self.count, self.first_row, self.kinds, self.histograms, self.process, self.process_seen,
            self.largest, self._depth, self._levels, self._last_row, MAX_TIME_NS, MAX_PAGE,
        )  # fmt: skip
        for code, name in enumerate(HISTOGRAMS):
            if name in columns and len(columns[name]):
                self.maxima[code] = max(self.maxima[code], int(columns[name].max()))
        self.rows += len(columns["time_ns"])


def bucket_floor(bucket: int) -> int:
    """Smallest value that falls into a bucket."""
    if bucket < 1 << _SUB:
        return bucket
    shift = (bucket >> _SUB) - 1
    return ((1 << _SUB) + (bucket & ((1 << _SUB) - 1))) << shift


@compiled
def _bucket(value):  # type: ignore[no-untyped-def]
    if value < 1 << _SUB:
        return value
    shift = 0
    while value >> shift >= 2 << _SUB:
        shift += 1
    return ((shift + 1) << _SUB) + ((value >> shift) & ((1 << _SUB) - 1))


@compiled
def _note(count, first_row, problem, row):  # type: ignore[no-untyped-def]
    if count[problem] == 0:
        first_row[problem] = row
    count[problem] += 1


@compiled
def _scan(  # type: ignore[no-untyped-def]
    first, times, tasks, processes, kinds, pages, thinks, waits, holds, blocks, depths,
    count, first_row, kind_counts, histograms, process_of, process_seen, largest, depth_of, levels, last_row,
    max_time, max_page,
):  # fmt: skip
    # Limits come as arguments and shapes: a constant of another file would be compiled in, and stay when that
    # file changes.
    max_tasks, max_depth = len(process_of), levels.shape[1]
    previous_time = largest[0]
    for i in range(len(times)):
        row = first + i
        time, hold, block, think, wait = times[i], holds[i], blocks[i], thinks[i], waits[i]
        task, process, kind, page, depth = tasks[i], processes[i], kinds[i], pages[i], depths[i]

        if time < previous_time:
            _note(count, first_row, _TIME_ORDER, row)
        previous_time = time
        largest[0] = max(largest[0], time)
        least = min(time, think, wait, hold, block)
        if least < 0:
            _note(count, first_row, _NEGATIVE, row)
        if max(time, think, wait, hold, block) > max_time:
            _note(count, first_row, _ABSURD, row)
        if 0 <= kind < len(kind_counts):
            kind_counts[kind] += 1
        else:
            _note(count, first_row, _KIND, row)
        if 0 <= process < max_tasks:
            process_seen[process] = True
        else:
            _note(count, first_row, _PROCESS, row)

        histograms[0, _bucket(max(think, 0))] += 1
        histograms[1, _bucket(max(wait, 0))] += 1
        histograms[2, _bucket(max(hold, 0))] += 1
        histograms[3, _bucket(max(block, 0))] += 1
        largest[1] = max(largest[1], page)
        if not 0 <= page < max_page:
            _note(count, first_row, _PAGE, row)
        elif page < len(last_row):
            if last_row[page] > 0:
                histograms[_REUSE, _bucket(row + 1 - last_row[page])] += 1
            last_row[page] = row + 1

        if not 0 <= task < max_tasks:
            _note(count, first_row, _TASK, row)
            continue
        if process_of[task] < 0:
            process_of[task] = process
        elif process_of[task] != process:
            _note(count, first_row, _PROCESS_CHANGES, row)
        if not 0 <= depth < max_depth:
            _note(count, first_row, _DEPTH, row)
            continue
        largest[2] = max(largest[2], depth)
        # A damaged time must not be taken for the end of an operation, and sums must not overflow.
        if least < 0 or max(time, hold, block, think, wait) > max_time:
            depth_of[task] = -1
            continue

        latest = depth_of[task]
        stack = levels[task]
        if depth > 0 and depth > latest + 1:
            _note(count, first_row, _JUMP, row)
        else:
            for level in range(depth, latest + 1):
                if time < stack[level, 1]:
                    _note(count, first_row, _OVERLAP, row)
                    break
            if depth > 0:
                parent = stack[depth - 1]
                if time < parent[0]:
                    _note(count, first_row, _BEFORE, row)
                elif time > parent[1]:
                    _note(count, first_row, _AFTER, row)
                parent[2] -= think + hold
                parent[3] -= wait + block
                if parent[2] < 0 or parent[3] < 0:
                    _note(count, first_row, _USES_MORE, row)
        depth_of[task] = depth
        end = time + hold + block
        stack[depth, 0] = time
        stack[depth, 1] = end
        stack[depth, 2] = hold
        stack[depth, 3] = block
        largest[3] = max(largest[3], end)
