"""From recorded mappings (when asked for, when mapped, when unmapped) to the operations of a trace.

What a recording of begins and ends does not say is how much of an interval the task spent on a CPU. It is
derived by a `Split`, whose figures come from a recording that has scheduler events too; traces/RECORDINGS.md
shows the measurement.
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
    """How an interval is divided into CPU time and time off CPU.

    Up to `longest_cpu_ns` it is all CPU time. A longer one is taken to hold a sleep: `cpu_when_longer_ns` of
    it is CPU time and the rest is not.
    """

    longest_cpu_ns: int
    cpu_when_longer_ns: int

    def cpu_ns(self, intervals_ns: np.ndarray) -> np.ndarray:
        """CPU time in each interval, int64 nanoseconds."""
        return np.where(intervals_ns <= self.longest_cpu_ns, intervals_ns, self.cpu_when_longer_ns)

    def note(self, what: str, cpu: str, off: str) -> str:
        """Say the rule in words, for a trace's notes."""
        return (
            f"{cpu} and {off} are derived from the length of {what}: up to "
            f"{format_whole_duration(self.longest_cpu_ns)} it is counted as CPU time; of a longer one, "
            f"{format_whole_duration(self.cpu_when_longer_ns)} as CPU time and the rest as time off CPU"
        )


# Measured on a recording of the kernel's pool that has the scheduler's events too (traces/RECORDINGS.md): of
# 12,350 intervals between mappings, 3 of those up to 200 us held a sleep and 1 of the longer ones held none;
# the median CPU time of those that slept was 19 us, and 25 us in a mapping that slept. No copy or table edit
# of one page takes 1 ms of CPU.
POOL_THINK_SPLIT = Split(longest_cpu_ns=200_000, cpu_when_longer_ns=19_000)
HOLD_SPLIT = Split(longest_cpu_ns=1_000_000, cpu_when_longer_ns=25_000)
# Elsewhere user code runs between mappings, for any length of time, and no recorded event tells compute from
# sleep. 10 ms is longer than 98 % of the intervals of the shipped recording by kmap_local, and the CPU time
# of all its tasks (66 s) then stays well below what its four CPUs could give (118 s).
THINK_SPLIT = Split(longest_cpu_ns=10_000_000, cpu_when_longer_ns=10_000_000)

FIRST_NOTE = (
    "think_ns and wait_ns of each task's first operation are 0: nothing is known of the time before it"
)


def process_note(threads: bool) -> str:
    """Say what was assumed of the tasks' address spaces."""
    if threads:
        return "the recording does not tell threads from processes; all tasks were said to share one process"
    return "the recording does not tell threads from processes; each task is taken as its own process"


@dataclass(frozen=True)
class Mappings:
    """Mappings as recorded, in the recorder's order: arrays of one length, times in ns of one clock.

    `begin_ns` is when the mapping was asked for, `mapped_ns` when it was there, `end_ns` when it was given
    back. What passes between `begin_ns` and `mapped_ns` is the allocator's time and goes into no column.
    `cpu_ns`, where the scheduler was recorded too, is the CPU time that the task had used at those three
    instants, an array [row, 3] counted from any one origin per task.
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
    """Rows of a trace; `source_row` is the position in Mappings of each; `dropped` counts by reason."""

    rows: Rows
    source_row: np.ndarray
    dropped: dict[str, int]


def arrange(mappings: Mappings, think: Split | None, hold: Split | None, one_process: bool) -> ArrangedRows:
    """Order mappings as a trace wants them, find which lie inside which, and divide their intervals.

    Tasks and pages are numbered in order of first appearance and the first operation begins at 0. A task's
    first operation has no predecessor: its think and wait are 0. A mapping that ends before it begins, or
    overlaps an earlier one of its task without lying inside it, is dropped and counted. `think` and `hold`
    divide what lies between and inside mappings; None where `mappings.cpu_ns` says it.

    Raises InputError when nothing is left or there are more than MAX_TASKS tasks.
    """
    sane = (mappings.begin_ns <= mappings.mapped_ns) & (mappings.mapped_ns <= mappings.end_ns)
    nest = _Nesting.of(mappings, np.flatnonzero(sane))
    dropped = {
        "ends before it begins": int((~sane).sum()),
        "overlaps an earlier mapping of its task without lying inside it": nest.overlapping,
        f"nested deeper than {MAX_DEPTH}": nest.too_deep,
    }
    if not len(nest.row):
        raise InputError(
            f"no operation is left of {len(sane):,} recorded mappings; check that the recording is whole"
        )

    instants = np.stack([mappings.begin_ns, mappings.mapped_ns, mappings.end_ns], axis=1)
    gap_ns = nest.gaps(instants)
    tail_ns = nest.tails(instants)
    think_ns = _cpu_share(gap_ns, think, nest.gaps, mappings.cpu_ns)
    hold_ns = _cpu_share(tail_ns, hold, nest.tails, mappings.cpu_ns)
    wait_ns = gap_ns - think_ns
    block_ns = tail_ns - hold_ns
    # The innermost first, so that what is added to an enclosing mapping is already whole.
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
            f"{int(task.max()) + 1:,} tasks were recorded, and a trace can have {MAX_TASKS:,}; import a part"
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


def _cpu_share(
    lengths_ns: np.ndarray,
    split: Split | None,
    on_clock: Callable[[np.ndarray], np.ndarray],
    cpu_ns: np.ndarray | None,
) -> np.ndarray:
    """CPU time in intervals, by rule or as recorded."""
    if split is not None:
        return split.cpu_ns(lengths_ns)
    assert cpu_ns is not None
    # Clipped, because two clocks rounded to nanoseconds can differ by one where nothing else happened.
    return np.clip(on_clock(cpu_ns), 0, lengths_ns)


def number_by_appearance(ids: np.ndarray) -> np.ndarray:
    """Dense numbers (int64) from 0, in the order in which the ids first appear."""
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


@dataclass(frozen=True)
class _Nesting:
    """Which mapping lies inside which. Arrays over the mappings kept, by task, then in begin order.

    `row` is the position in Mappings; `parent` the position here of the enclosing mapping, -1 if none.
    `gap_from` and `tail_from` name an instant as (row of Mappings) * 3 + (0 begin, 1 mapped, 2 end), -1 if
    there is none. The gap before an operation is from the end of the task's previous one of that depth, or,
    where there is none inside the same enclosing mapping, from when that was mapped. Its tail is from the
    end of the last mapping inside it, or from when it was mapped itself, to its end.
    """

    row: np.ndarray
    depth: np.ndarray
    parent: np.ndarray
    gap_from: np.ndarray
    tail_from: np.ndarray
    overlapping: int
    too_deep: int

    def gaps(self, instants: np.ndarray) -> np.ndarray:
        """Length of each gap on a clock that gives [row, 3] instants; 0 where there is none."""
        lengths = instants[self.row, 0] - instants.ravel()[self.gap_from]
        return np.where(self.gap_from < 0, 0, lengths)

    def tails(self, instants: np.ndarray) -> np.ndarray:
        """Length of each tail on a clock that gives [row, 3] instants."""
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
