"""One pass over the rows of a trace, in compiled code: what is wrong in it, and what it is like."""

from __future__ import annotations

import numpy as np

from pipeline.jit.loops import compiled, compiled_inside
from pipeline.jit.tables import Tables, records
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

_KINDS = len(KINDS)

# Reuse needs 8 bytes per page; above this (256 GiB of mapped memory) it is left out.
REUSE_PAGES = 1 << 26

HISTOGRAMS = ("think_ns", "wait_ns", "hold_ns", "block_ns", "reuse")
_THINK, _WAIT, _HOLD, _BLOCK, _REUSE = (code * BUCKETS for code in range(len(HISTOGRAMS)))

_READ = (
    "time_ns", "task", "process", "kind", "page", "think_ns", "wait_ns", "hold_ns", "block_ns", "depth",
)  # fmt: skip
_PROBLEM = np.dtype([("count", "i8"), ("first_row", "i8")])
# A task: the process of its first row, -1 before that, and the depth of its latest row, -1 if it has none.
_TASK_STATE = np.dtype([("process", "i8"), ("depth", "i8")])
# A task's latest row of one depth; valid up to the depth of its latest row. The least end is time + hold +
# block: a row ends then or later, because getting mapped takes time that a trace does not hold. What of
# hold_ns and block_ns nested rows have not yet used is left.
_LEVEL = np.dtype([(name, "i8") for name in ("begin", "least_end", "hold_left", "block_left")])
_LARGEST = np.dtype([(name, "i8") for name in ("time", "page", "depth", "end")])


class Scan:
    """State and results of the pass.

    `problems` has count and first_row (-1) of each of ROW_PROBLEMS, `kinds` counts rows by kind, `histograms`
    [HISTOGRAMS, BUCKETS] and `maxima` are of durations and distances, `tasks` has the process of each task
    that was seen, `processes` whether each was, `largest` the largest time, page, depth and end.
    """

    def __init__(self, pages: int) -> None:
        """Room for `pages` page numbers; reuse is left out if there are more than REUSE_PAGES."""
        self.rows = 0
        self.problems = records(len(ROW_PROBLEMS), _PROBLEM)
        self.problems["first_row"] = -1
        self.kinds = np.zeros(len(KINDS), np.int64)
        self.histograms = np.zeros((len(HISTOGRAMS), BUCKETS), np.int64)
        self.maxima = np.zeros(len(HISTOGRAMS), np.int64)
        self.tasks = records(MAX_TASKS, _TASK_STATE)
        self.tasks["process"] = self.tasks["depth"] = -1
        self.processes = np.zeros(MAX_TASKS, np.int8)
        largest = records(1, _LARGEST)
        for name in _LARGEST.names or ():
            largest[name] = -1
        self.largest = largest[0]
        self.measures_reuse = pages <= REUSE_PAGES
        self._pages = max(pages, 0) if self.measures_reuse else 0
        self._tables = Tables(
            checked=False,
            problems=self.problems,
            kinds=self.kinds,
            histograms=self.histograms.ravel(),
            tasks=self.tasks,
            levels=records(MAX_TASKS * MAX_DEPTH, _LEVEL),
            processes=self.processes,
            largest=largest,
            # The latest row that mapped each page, plus 1; 0: none.
            last_rows=np.zeros(self._pages, np.int64),
        )

    def add(self, columns: dict[str, np.ndarray]) -> None:
        """Take in the next rows: columns of the trace as int64, int32 or int8 arrays of one length."""
        count = len(columns["time_ns"])
        batch = Tables(checked=False, **{name: np.ascontiguousarray(columns[name]) for name in _READ})
        _scan(batch, count, self.rows, self._tables, self._pages)
        for code, name in enumerate(HISTOGRAMS):
            if name in columns and count:
                self.maxima[code] = max(self.maxima[code], int(columns[name].max()))
        self.rows += count


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


@compiled_inside
def _note(tables, problem, row):  # type: ignore[no-untyped-def]
    noted = tables.problems[problem]
    if noted.count == 0:
        noted.first_row = row
    noted.count += 1


@compiled
def _scan(batch, count, first, tables, pages):  # type: ignore[no-untyped-def]
    largest = tables.largest[0]
    previous_time = largest.time
    for i in range(count):
        row = first + i
        time, hold, block = batch.time_ns[i], batch.hold_ns[i], batch.block_ns[i]
        think, wait = batch.think_ns[i], batch.wait_ns[i]
        task, process, kind = batch.task[i], batch.process[i], batch.kind[i]
        page, depth = batch.page[i], batch.depth[i]

        if time < previous_time:
            _note(tables, _TIME_ORDER, row)
        previous_time = time
        largest.time = max(largest.time, time)
        least = min(time, think, wait, hold, block)
        if least < 0:
            _note(tables, _NEGATIVE, row)
        most = max(time, think, wait, hold, block)
        if most > MAX_TIME_NS:
            _note(tables, _ABSURD, row)
        if 0 <= kind < _KINDS:
            tables.kinds[kind] += 1
        else:
            _note(tables, _KIND, row)
        if 0 <= process < MAX_TASKS:
            tables.processes[process] = 1
        else:
            _note(tables, _PROCESS, row)

        tables.histograms[_THINK + _bucket(max(think, 0))] += 1
        tables.histograms[_WAIT + _bucket(max(wait, 0))] += 1
        tables.histograms[_HOLD + _bucket(max(hold, 0))] += 1
        tables.histograms[_BLOCK + _bucket(max(block, 0))] += 1
        largest.page = max(largest.page, page)
        if not 0 <= page < MAX_PAGE:
            _note(tables, _PAGE, row)
        elif page < pages:
            if tables.last_rows[page] > 0:
                tables.histograms[_REUSE + _bucket(row + 1 - tables.last_rows[page])] += 1
            tables.last_rows[page] = row + 1

        if not 0 <= task < MAX_TASKS:
            _note(tables, _TASK, row)
            continue
        state = tables.tasks[task]
        if state.process < 0:
            state.process = process
        elif state.process != process:
            _note(tables, _PROCESS_CHANGES, row)
        if not 0 <= depth < MAX_DEPTH:
            _note(tables, _DEPTH, row)
            continue
        largest.depth = max(largest.depth, depth)
        # A damaged time must not be taken for the end of an operation, and sums must not overflow.
        if least < 0 or most > MAX_TIME_NS:
            state.depth = -1
            continue

        outermost = task * MAX_DEPTH
        if depth > 0 and depth > state.depth + 1:
            _note(tables, _JUMP, row)
        else:
            for level in range(depth, state.depth + 1):
                if time < tables.levels[outermost + level].least_end:
                    _note(tables, _OVERLAP, row)
                    break
            if depth > 0:
                parent = tables.levels[outermost + depth - 1]
                if time < parent.begin:
                    _note(tables, _BEFORE, row)
                elif time > parent.least_end:
                    _note(tables, _AFTER, row)
                parent.hold_left -= think + hold
                parent.block_left -= wait + block
                if parent.hold_left < 0 or parent.block_left < 0:
                    _note(tables, _USES_MORE, row)
        state.depth = depth
        own = tables.levels[outermost + depth]
        own.begin, own.least_end, own.hold_left, own.block_left = time, time + hold + block, hold, block
        largest.end = max(largest.end, own.least_end)
