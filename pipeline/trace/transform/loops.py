"""The loops that follow each task through its operations and what is nested in them, compiled.

Rows come in file order, over any number of calls; what must be known of a task between two rows is in arrays
with a row per task, which the caller keeps.
"""

from __future__ import annotations

from pipeline.jit.loops import compiled


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


@compiled
def move(times, tasks, depths, before, after, starts, shift, latest):  # type: ignore[no-untyped-def]
    """Move rows in time for durations that changed; `times` (int64 [n]) is changed.

    `before` and `after` are int64 [n, 2]: time from the previous boundary to the begin (think + wait) and
    from there to the end (hold + block). `starts` is when each row begins if it is its task's first.
    `shift` (int64 [tasks, MAX_DEPTH + 1], at first the least int64) is how far the boundary before the next
    row of each depth has moved, `latest` (int64 [tasks]) the last begin of each task, which none may precede.
    """
    unseen = -(1 << 62)
    for i in range(len(times)):
        task, depth = tasks[i], depths[i]
        if depth == 0 and shift[task, 0] <= unseen:
            begin = starts[i]
        else:
            begin = times[i] + shift[task, depth] + after[i, 0] - before[i, 0]
        begin = max(begin, latest[task])
        moved = begin - times[i]
        times[i] = begin
        latest[task] = begin
        shift[task, depth + 1] = moved
        shift[task, depth] = moved + after[i, 1] - before[i, 1]


@compiled
def fold(  # type: ignore[no-untyped-def]
    tasks, thinks, waits, holds, blocks, depths, keep, top, levels, carried
):
    """Fold rows that are dropped into those that stay; think, wait and depth (all [n]) are changed.

    `keep` is bool [n]. A dropped row's own time, without what is nested in it, becomes think and wait of
    the next row that stays inside the same mapping; inside one that stays, what comes after the last nested
    row is part of its hold already. `top` (int8 [tasks], -1) is the depth of each task's latest row.
    `levels` (int64 [tasks, MAX_DEPTH, 4]) holds, of the row at each depth: whether it stays, its new depth,
    and the CPU time and time off CPU of it that nothing nested has used. `carried`
    (int64 [tasks, MAX_DEPTH + 1, 2]) is the time to be given to the next row at each new depth.
    """
    for i in range(len(tasks)):
        task, depth = tasks[i], depths[i]
        stack, carry = levels[task], carried[task]
        for level in range(top[task], depth - 1, -1):
            if stack[level, 0] == 0:
                carry[stack[level, 1], 0] += max(stack[level, 2], 0)
                carry[stack[level, 1], 1] += max(stack[level, 3], 0)
        new_depth = 0
        if depth > 0:
            new_depth = stack[depth - 1, 1] + stack[depth - 1, 0]
            stack[depth - 1, 2] -= thinks[i] + holds[i]
            stack[depth - 1, 3] -= waits[i] + blocks[i]
        carry[new_depth, 0] += thinks[i]
        carry[new_depth, 1] += waits[i]
        stack[depth, 0] = keep[i]
        stack[depth, 1] = new_depth
        stack[depth, 2] = holds[i]
        stack[depth, 3] = blocks[i]
        top[task] = depth
        if keep[i]:
            thinks[i] = carry[new_depth, 0]
            waits[i] = carry[new_depth, 1]
            depths[i] = new_depth
            carry[new_depth] = 0
            carry[new_depth + 1] = 0
