"""The loops that follow each task through its operations and what is nested in them, compiled.

Rows come in file order, over any number of calls; what must be known of a task between two rows is in arrays
with a row per task, or LEVELS rows per task, which the caller keeps.
"""

from __future__ import annotations

import numpy as np

from pipeline.jit.loops import compiled
from pipeline.schema.trace import MAX_DEPTH

LEVELS = MAX_DEPTH + 1


@compiled
def inherit(tasks, depths, keep, kept):  # type: ignore[no-untyped-def]
    """Let nested rows have the `keep` (bool [n], changed) of the outermost row that they lie in.

    `kept` (bool [tasks]) is each task's latest decision.
    """
    for i in range(len(tasks)):
        if depths[i] == 0:
            kept[tasks[i]] = keep[i]
        else:
            keep[i] = kept[tasks[i]]


# How far the boundary before a task's next row of some depth has moved.
SHIFT = np.dtype([("known", "i8"), ("shift", "i8")])


@compiled
def move(rows, count, tasks):  # type: ignore[no-untyped-def]
    """Move rows in time for durations that changed; `rows.time_ns` is changed.

    `rows` has the tables time_ns, task, depth; `before` and `after`, the time from the previous boundary to
    the begin (think + wait) as it was and is; `used_before` and `used_after`, likewise from the begin to the
    end (hold + block); and `start`, when each row begins if it is its task's first. `tasks` has `shifts`
    [tasks * LEVELS] and `latest`, the last begin of each task, which none may precede.
    """
    for i in range(count):
        latest, first = rows.task[i], rows.task[i] * LEVELS
        boundary = tasks.shifts[first + rows.depth[i]]
        if rows.depth[i] == 0 and not boundary.known:
            begin = rows.start[i]
        else:
            begin = rows.time_ns[i] + boundary.shift + rows.after[i] - rows.before[i]
        begin = max(begin, tasks.latest[latest])
        moved = begin - rows.time_ns[i]
        rows.time_ns[i] = begin
        tasks.latest[latest] = begin
        inner = tasks.shifts[first + rows.depth[i] + 1]
        inner.known, inner.shift = 1, moved
        boundary.known, boundary.shift = 1, moved + rows.used_after[i] - rows.used_before[i]


# A task's row of some depth: whether it stays, its new depth, and the CPU time and time off CPU of it that
# nothing nested has used.
FOLDED = np.dtype([("stays", "i8"), ("depth", "i8"), ("cpu_ns", "i8"), ("off_ns", "i8")])
# Time to be given to a task's next row of some new depth.
CARRIED = np.dtype([("think_ns", "i8"), ("wait_ns", "i8")])


@compiled
def fold(rows, count, tasks):  # type: ignore[no-untyped-def]
    """Fold rows that are dropped into those that stay; think_ns, wait_ns and depth are changed.

    `rows` has the tables task, think_ns, wait_ns, hold_ns, block_ns, depth and keep (0 or 1). A dropped row's
    own time, without what is nested in it, becomes think and wait of the next row that stays inside the same
    mapping; inside one that stays, what comes after the last nested row is part of its hold already. `tasks`
    has `top`, the depth of each task's latest row (-1: none), `folded` and `carried` [tasks * LEVELS].
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
