"""Compiled loops that follow each task through its operations and their nested operations.

Rows are processed in file order, over any number of calls. The state of a task between two rows is in arrays
with one row per task, or LEVELS rows per task. The caller keeps these arrays.
"""

from __future__ import annotations

import numpy as np

from pipeline.jit.loops import compiled
from pipeline.schema.trace import MAX_DEPTH

LEVELS = MAX_DEPTH + 1


@compiled
def inherit(tasks, depths, keep, kept):  # type: ignore[no-untyped-def]
    """Set `keep` (bool [n], changed) of nested rows to that of their outermost row.

    `kept` (bool [tasks]) is the latest decision for each task.
    """
    for i in range(len(tasks)):
        if depths[i] == 0:
            kept[tasks[i]] = keep[i]
        else:
            keep[i] = kept[tasks[i]]


# Shift of the boundary before a task's next row of a given depth.
SHIFT = np.dtype([("known", "i8"), ("shift", "i8")])


@compiled
def move(rows, count, tasks):  # type: ignore[no-untyped-def]
    """Move rows in time after changes of durations; changes `rows.time_ns`.

    `rows` has these tables: time_ns, task and depth; `before` and `after`, the old and new time from the
    previous boundary to the begin (think + wait); `used_before` and `used_after`, the old and new time from
    the begin to the end (hold + block); `start`, the begin of each row if it is its task's first; `least_ns`,
    its earliest begin; and `map_row`, the row before of which it is the unmap, or -1: it begins at the same
    time or later. `tasks` has `shifts` [tasks * LEVELS] and `latest`, the last begin of each task, which is a
    lower limit.
    """
    for i in range(count):
        latest, first = rows.task[i], rows.task[i] * LEVELS
        boundary = tasks.shifts[first + rows.depth[i]]
        if rows.depth[i] == 0 and not boundary.known:
            begin = rows.start[i]
        else:
            begin = rows.time_ns[i] + boundary.shift + rows.after[i] - rows.before[i]
        begin = max(begin, tasks.latest[latest], rows.least_ns[i])
        if rows.map_row[i] >= 0:
            begin = max(begin, rows.time_ns[rows.map_row[i]])
        moved = begin - rows.time_ns[i]
        rows.time_ns[i] = begin
        tasks.latest[latest] = begin
        inner = tasks.shifts[first + rows.depth[i] + 1]
        inner.known, inner.shift = 1, moved
        boundary.known, boundary.shift = 1, moved + rows.used_after[i] - rows.used_before[i]


# A task's row of a given depth: whether it stays, its new depth, and its CPU time and time off CPU that
# nested rows have not used.
FOLDED = np.dtype([("stays", "i8"), ("depth", "i8"), ("cpu_ns", "i8"), ("off_ns", "i8")])
# Time to add to a task's next row of a given new depth.
CARRIED = np.dtype([("think_ns", "i8"), ("wait_ns", "i8")])


@compiled
def fold(rows, count, tasks):  # type: ignore[no-untyped-def]
    """Fold rows that are dropped into those that stay; think_ns, wait_ns and depth are changed.

    `rows` has the tables task, think_ns, wait_ns, hold_ns, block_ns, depth and keep (0 or 1). The time of a
    dropped row, without that of its nested rows, is added to think and wait of the next row that stays inside
    the same mapping. Inside a mapping that stays, time after the last nested row is already part of its hold.
    `tasks` has `top`, the depth of each task's latest row (-1: none), `folded` and `carried`
    [tasks * LEVELS].
    """
    for i in range(count):
        task, depth, first = rows.task[i], rows.depth[i], rows.task[i] * LEVELS
        for level in range(tasks.top[task], depth - 1, -1):
            over = tasks.folded[first + level]
            if not over.stays:
                left = tasks.carried[first + over.depth]
                left.think_ns += max(over.cpu_ns, 0)
                left.wait_ns += max(over.off_ns, 0)
        new_depth = 0
        if depth > 0:
            parent = tasks.folded[first + depth - 1]
            new_depth = parent.depth + parent.stays
            parent.cpu_ns -= rows.think_ns[i] + rows.hold_ns[i]
            parent.off_ns -= rows.wait_ns[i] + rows.block_ns[i]
        carried = tasks.carried[first + new_depth]
        carried.think_ns += rows.think_ns[i]
        carried.wait_ns += rows.wait_ns[i]
        own = tasks.folded[first + depth]
        own.stays, own.depth, own.cpu_ns, own.off_ns = (
            rows.keep[i], new_depth, rows.hold_ns[i], rows.block_ns[i],
        )  # fmt: skip
        tasks.top[task] = depth
        if rows.keep[i]:
            rows.think_ns[i], rows.wait_ns[i], rows.depth[i] = carried.think_ns, carried.wait_ns, new_depth
            carried.think_ns = carried.wait_ns = 0
            inner = tasks.carried[first + new_depth + 1]
            inner.think_ns = inner.wait_ns = 0
