"""The loop that checks the rows of a trace, in plain Python. `trace.check` compiles it."""

from __future__ import annotations

from typing import Any

from pipeline.schema.trace import MAX_DEPTH, MAX_PAGE, MAX_TASKS, MAX_TIME_NS

# Codes of problems. `trace.check` defines their names.
(
    TIME_ORDER, NEGATIVE, ABSURD, TASK, PROCESS, PAGE, DEPTH, JUMP, OVERLAP, BEFORE, AFTER, USES_MORE,
    PROCESS_CHANGES,
) = range(13)  # fmt: skip


def check_rows(
    time_ns: Any, task: Any, process: Any, page: Any, think_ns: Any, wait_ns: Any, hold_ns: Any,
    block_ns: Any, depth: Any, count: int, first: int, problems: Any, tasks: Any, levels: Any, processes: Any,
    largest: Any,
) -> int:  # fmt: skip
    """Check `count` rows, the first of which is row `first` of the trace.

    `problems` contains the count and the first row of each problem. `trace.check` creates `tasks`, `levels`,
    `processes` and `largest`. Returns the number of problems found.
    """
    noted = 0
    most_seen = largest[0]
    previous_ns = most_seen.time
    for i in range(count):
        row = first + i
        t, think, wait, hold, block = time_ns[i], think_ns[i], wait_ns[i], hold_ns[i], block_ns[i]
        k, p, d = int(task[i]), int(process[i]), int(depth[i])
        found = 0
        if t < previous_ns:
            found |= 1 << TIME_ORDER
        previous_ns = t
        most_seen.time = max(most_seen.time, t)
        least, most = min(t, think, wait, hold, block), max(t, think, wait, hold, block)
        if least < 0:
            found |= 1 << NEGATIVE
        if most >= MAX_TIME_NS:
            found |= 1 << ABSURD
        if 0 <= p < MAX_TASKS:
            processes[p] = 1
        else:
            found |= 1 << PROCESS
        most_seen.page = max(most_seen.page, page[i])
        if not 0 <= page[i] < MAX_PAGE:
            found |= 1 << PAGE
        most_seen.process, most_seen.task = max(most_seen.process, p), max(most_seen.task, k)
        most_seen.depth = max(most_seen.depth, d)
        most_seen.think, most_seen.wait = max(most_seen.think, think), max(most_seen.wait, wait)

        in_range = 0 <= d < MAX_DEPTH
        if not in_range:
            found |= 1 << DEPTH
        if 0 <= k < MAX_TASKS:
            of_task = tasks[k]
            if of_task.process < 0:
                of_task.process = p
            elif of_task.process != p:
                found |= 1 << PROCESS_CHANGES
            # A damaged time must not become the end of an operation, and sums must not overflow.
            if in_range and (least < 0 or most >= MAX_TIME_NS):
                of_task.depth = -1
            elif in_range:
                outermost = k * MAX_DEPTH
                if d > of_task.depth + 1:
                    found |= 1 << JUMP
                else:
                    for level in range(d, of_task.depth + 1):
                        if t < levels[outermost + level].least_end:
                            found |= 1 << OVERLAP
                            break
                    if d > 0:
                        parent = levels[outermost + d - 1]
                        if t < parent.begin:
                            found |= 1 << BEFORE
                        elif t > parent.least_end:
                            found |= 1 << AFTER
                        parent.hold_left -= think + hold
                        parent.block_left -= wait + block
                        if parent.hold_left < 0 or parent.block_left < 0:
                            found |= 1 << USES_MORE
                of_task.depth = d
                own = levels[outermost + d]
                own.begin, own.least_end = t, t + hold + block
                own.hold_left, own.block_left = hold, block
                most_seen.end = max(most_seen.end, own.least_end)
        else:
            found |= 1 << TASK
        if found != 0:
            for problem in range(PROCESS_CHANGES + 1):
                if found >> problem & 1:
                    of_problem = problems[problem]
                    if of_problem.count == 0:
                        of_problem.first_row = row
                    of_problem.count += 1
                    noted += 1
    return noted
