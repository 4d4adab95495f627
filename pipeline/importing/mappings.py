"""Convert recorded mappings (times of request, map and unmap) into the operations of a trace.

A recording of these times does not contain the CPU time within an interval. A `Split` derives it. The
parameters of the splits come from a recording with scheduler events; traces/RECORDINGS.md shows the
measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError
from pipeline.importing.importer import Rows
from pipeline.io.numbers import format_whole_duration
from pipeline.schema.trace import MAX_DEPTH, MAX_TASKS


@dataclass(frozen=True)
class Split:
    """A rule that divides an interval into CPU time and time off CPU.

    An interval of up to `longest_cpu_ns` is all CPU time. A longer interval is assumed to contain a sleep:
    `cpu_when_longer_ns` of it is CPU time, and the rest is time off CPU.
    """

    longest_cpu_ns: int
    cpu_when_longer_ns: int

    def cpu_ns(self, intervals_ns: np.ndarray) -> np.ndarray:
        """Return the CPU time in each interval, int64 in ns."""
        return np.where(intervals_ns <= self.longest_cpu_ns, intervals_ns, self.cpu_when_longer_ns)

    def note(self, what: str, cpu: str, off: str) -> str:
        """Return the rule as text, for a trace's notes."""
        return (
            f"{cpu} and {off} are derived from the length of {what}: up to "
            f"{format_whole_duration(self.longest_cpu_ns)} counts as CPU time; of a longer interval, "
            f"{format_whole_duration(self.cpu_when_longer_ns)} counts as CPU time and the rest as "
            "time off CPU"
        )


# Measured on a recording of the kernel's pool with scheduler events (traces/RECORDINGS.md). Of 12,350
# intervals between mappings, 3 of those up to 200 us contained a sleep, and 1 of the longer ones did not. The
# median CPU time of intervals with a sleep was 19 us, and 25 us for mappings with a sleep. No copy or table
# edit of one page takes 1 ms of CPU.
POOL_THINK_SPLIT = Split(longest_cpu_ns=200_000, cpu_when_longer_ns=19_000)
HOLD_SPLIT = Split(longest_cpu_ns=1_000_000, cpu_when_longer_ns=25_000)
# In other recordings, user code runs between mappings for any length of time, and no recorded event separates
# computation from sleep. 10 ms is longer than 98 % of the intervals of the shipped kmap_local recording. With
# this limit, the CPU time of all its tasks (66 s) is well below the capacity of its four CPUs (118 s).
THINK_SPLIT = Split(longest_cpu_ns=10_000_000, cpu_when_longer_ns=10_000_000)

FIRST_NOTE = (
    "think_ns and wait_ns of each task's first operation are 0, because the time before it is not recorded"
)


def process_note(threads: bool) -> str:
    """Return the assumption about the tasks' address spaces as text."""
    if threads:
        return "the recording does not distinguish threads from processes; all tasks are put into one process"
    return "the recording does not distinguish threads from processes; each task is assumed to be a process"


@dataclass(frozen=True)
class Mappings:
    """Mappings as recorded, in the recorder's order: arrays of the same length, times in ns of one clock.

    begin_ns, mapped_ns, end_ns: times of the request, of the map and of the unmap. The time between
        `begin_ns` and `mapped_ns` belongs to the recorded allocator and is in no column of the trace.
    cpu_ns: if the scheduler was recorded, the CPU time that the task had used at these three times, as an
        array [row, 3] with any origin per task.
    """

    task_id: np.ndarray
    begin_ns: np.ndarray
    mapped_ns: np.ndarray
    end_ns: np.ndarray
    cpu: np.ndarray
    kind: np.ndarray
    page_id: np.ndarray
    cpu_ns: np.ndarray | None = None


@dataclass(frozen=True)
class ArrangedRows:
    """Rows of a trace, the position of each in Mappings, and the number of dropped mappings by reason."""

    rows: Rows
    source_row: np.ndarray
    dropped: dict[str, int]


def arrange(mappings: Mappings, think: Split | None, hold: Split | None, one_process: bool) -> ArrangedRows:
    """Sort mappings in trace order, find how they nest, and divide their intervals.

    Tasks and pages are numbered in order of first appearance, and the first operation begins at 0. The think
    and wait of a task's first operation are 0. A mapping is dropped and counted if it ends before it begins,
    or if it overlaps an earlier mapping of its task without being nested in it. `think` divides the intervals
    between mappings and `hold` those inside mappings; they are None if `mappings.cpu_ns` has the CPU time.

    Raises InputError if no mapping is left or there are more than MAX_TASKS tasks.
    """
    sane = (mappings.begin_ns <= mappings.mapped_ns) & (mappings.mapped_ns <= mappings.end_ns)
    nest = _Nesting.of(mappings, np.flatnonzero(sane))
    dropped = {
        "they end before they begin": int((~sane).sum()),
        "they overlap an earlier mapping of their task without being nested in it": nest.overlapping,
        f"they are nested deeper than {MAX_DEPTH}": nest.too_deep,
    }
    if not len(nest.row):
        raise InputError(_nothing_left(len(sane), dropped))

    instants = np.stack([mappings.begin_ns, mappings.mapped_ns, mappings.end_ns], axis=1)
    gap_ns = nest.gaps(instants)
    tail_ns = nest.tails(instants)
    think_ns = _cpu_share(gap_ns, think, nest.gaps, mappings.cpu_ns)
    hold_ns = _cpu_share(tail_ns, hold, nest.tails, mappings.cpu_ns)
    wait_ns = gap_ns - think_ns
    block_ns = tail_ns - hold_ns
    # Innermost first, so that the times added to an enclosing mapping are already complete.
    for depth in range(int(nest.depth.max()), 0, -1):
        inner = np.flatnonzero(nest.depth == depth)
        np.add.at(hold_ns, nest.parent[inner], (think_ns + hold_ns)[inner])
        np.add.at(block_ns, nest.parent[inner], (wait_ns + block_ns)[inner])

    begin = mappings.begin_ns[nest.row]
    order = np.lexsort((nest.row, begin))
    source_row = nest.row[order]
    task = number_by_appearance(mappings.task_id[source_row]).astype(np.int32)
    if int(task.max()) >= MAX_TASKS:
        raise InputError(
            f"the recording has {int(task.max()) + 1:,} tasks, but a trace can have at most {MAX_TASKS:,}; "
            "import a part of it"
        )
    rows: Rows = {
        "time_ns": begin[order] - begin[order[0]],
        "task": task,
        "process": np.zeros_like(task) if one_process else task,
        "cpu": mappings.cpu[source_row].astype(np.int16),
        "kind": mappings.kind[source_row].astype(np.int8),
        "page": number_by_appearance(mappings.page_id[source_row]),
        "bytes": np.full_like(task, -1),
        "think_ns": think_ns[order],
        "wait_ns": wait_ns[order],
        "hold_ns": hold_ns[order],
        "block_ns": block_ns[order],
        "depth": nest.depth[order].astype(np.int8),
    }
    return ArrangedRows(rows, source_row, {why: count for why, count in dropped.items() if count})


def _nothing_left(mappings: int, dropped: dict[str, int]) -> str:
    if not mappings:
        return "the recording contains no complete mapping; record again, for longer"
    reasons = "; ".join(f"{count:,} dropped: {why}" for why, count in dropped.items() if count)
    return f"none of the {mappings:,} recorded mappings can be used ({reasons}); check the recording"


def _cpu_share(
    lengths_ns: np.ndarray,
    split: Split | None,
    on_clock: Callable[[np.ndarray], np.ndarray],
    cpu_ns: np.ndarray | None,
) -> np.ndarray:
    """Return the CPU time in intervals, by rule or as recorded."""
    if split is not None:
        return split.cpu_ns(lengths_ns)
    assert cpu_ns is not None
    # Clip, because two clocks that are rounded to nanoseconds can differ by 1 ns.
    return np.clip(on_clock(cpu_ns), 0, lengths_ns)


def number_by_appearance(ids: np.ndarray) -> np.ndarray:
    """Return dense numbers (int64) from 0, in the order in which the ids first appear."""
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


@dataclass(frozen=True)
class _Nesting:
    """The nesting of mappings: arrays over the mappings kept, by task, then in begin order.

    row: position in Mappings.
    parent: position in these arrays of the enclosing mapping, -1 if none.
    gap_from, tail_from: a time as (row of Mappings) * 3 + (0 begin, 1 mapped, 2 end), -1 if none.

    The gap before an operation starts at the end of the task's previous operation of the same depth. For the
    first operation inside an enclosing mapping, it starts when the enclosing mapping was mapped. The tail of
    an operation lasts until its end; it starts at the end of the last mapping nested in it, or when it was
    mapped.
    """

    row: np.ndarray
    depth: np.ndarray
    parent: np.ndarray
    gap_from: np.ndarray
    tail_from: np.ndarray
    overlapping: int
    too_deep: int

    def gaps(self, instants: np.ndarray) -> np.ndarray:
        """Return the length of each gap on a clock that gives [row, 3] instants; 0 if there is none."""
        lengths = instants[self.row, 0] - instants.ravel()[self.gap_from]
        return np.where(self.gap_from < 0, 0, lengths)

    def tails(self, instants: np.ndarray) -> np.ndarray:
        """Return the length of each tail on a clock that gives [row, 3] instants."""
        return instants[self.row, 2] - instants.ravel()[self.tail_from]

    @staticmethod
    def of(mappings: Mappings, candidates: np.ndarray) -> _Nesting:
        by_task = candidates[np.lexsort((mappings.begin_ns[candidates], mappings.task_id[candidates]))]
        kept: list[list[int]] = []  # row, depth, parent, gap_from, tail_from of each mapping
        tail_from_ns: list[int] = []
        overlapping = too_deep = 0
        task: int | None = None
        enclosing: list[tuple[int, int]] = []  # (position, end) of the mappings in force, outermost first
        outer = -1
        # Python integers: indexing numpy arrays one by one is five times slower.
        columns = (mappings.task_id, mappings.begin_ns, mappings.mapped_ns, mappings.end_ns)
        for row, owner, begin, mapped, end in zip(
            by_task.tolist(), *(column[by_task].tolist() for column in columns), strict=True
        ):
            if owner != task:
                task = owner
                enclosing.clear()
                outer = -1
            while enclosing and enclosing[-1][1] <= begin:
                enclosing.pop()
            depth = len(enclosing)
            if enclosing:
                parent, parent_end = enclosing[-1]
                if end > parent_end or begin < tail_from_ns[parent]:
                    overlapping += 1
                    continue
                if depth >= MAX_DEPTH:
                    too_deep += 1
                    continue
                gap_from = kept[parent][4]
                kept[parent][4], tail_from_ns[parent] = row * 3 + 2, end
            else:
                parent, gap_from, outer = -1, outer, row * 3 + 2
            enclosing.append((len(kept), end))
            kept.append([row, depth, parent, gap_from, row * 3 + 1])
            tail_from_ns.append(mapped)
        arrays = np.array(kept, np.int64).reshape(-1, 5).T.copy()
        return _Nesting(arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], overlapping, too_deep)
