"""Merge the operations of all tasks in time order, in memory that does not grow with their number.

Each task is drawn up to its frontier; every later operation of the task begins at or after the frontier. Rows
that begin before the smallest frontier are complete. They are sorted and emitted, and the other rows are
carried over. Only tasks with a frontier before the next horizon are drawn further, by at most a fixed number
of operations at once. A slow task therefore has few rows in the carry while fast tasks overtake it. The carry
never exceeds `max(4 * batch_rows, 16 * tasks)` outermost operations and their nested operations.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UsageError
from pipeline.schema.trace import MAX_TIME_NS
from pipeline.workload.draws import Drawer
from pipeline.workload.random_streams import UNIT
from pipeline.workload.sampling_tables import Columns, Index, Integers

_BLOCK_ROWS = 1 << 14  # rows drawn at once: small enough to stay in the second-level cache


class RowStream:
    """The rows of a workload in the order of (time, task, order within the task), in batches.

    Tasks and processes are numbered in the order of their first rows, so their numbers are dense in every
    prefix of the stream. The first row begins at 0, and each task's first think and wait sum to its begin.
    """

    def __init__(self, drawer: Drawer, *, batch_rows: int = 1 << 17) -> None:
        """Begin a stream; `batch_rows` is the approximate size of a batch and does not change the rows."""
        self._drawer = drawer
        self._batch_rows = batch_rows
        self._tasks = drawer.workload.tasks
        self._most_units = max(1, 4 * batch_rows // (UNIT * self._tasks))
        self._carry: list[Columns] = []
        self._frontier_ns = drawer.start_ns.copy()
        self._drawn = np.zeros(self._tasks, np.int64)
        self._task_number = np.full(self._tasks, -1, np.int32)
        self._process_number = np.full(drawer.workload.processes, -1, np.int32)
        self._begin()

    @property
    def carried(self) -> int:
        """Number of rows that were drawn and not yet emitted."""
        return sum(len(part["task"]) for part in self._carry)

    def _begin(self) -> None:
        """Draw a first unit of every task, and shift the earliest begin to time 0."""
        everyone = np.arange(self._tasks, dtype=np.int32)
        first_begin = np.concatenate(
            [
                self._draw(block, 1)
                for block in np.array_split(everyone, -(-self._tasks * UNIT // _BLOCK_ROWS))
            ]
        )
        base = first_begin.min()
        self._frontier_ns -= base
        self._started_ns = self._drawer.start_ns - base
        for part in self._carry:
            part["time_ns"] -= base
            first = np.arange(0, int((part["depth"] == 0).sum()), UNIT)
            since_ns = part["time_ns"][first]
            part["think_ns"][first] = np.minimum(part["think_ns"][first], since_ns)
            part["wait_ns"][first] = since_ns - part["think_ns"][first]

    def _draw(self, tasks: NDArray[np.int32], units: int) -> Integers:
        """Draw more operations of `tasks` into the carry; return the begin of each task's first."""
        rows, begins, ends = self._drawer.draw(tasks, units, self._frontier_ns[tasks])
        self._frontier_ns[tasks] = ends
        self._drawn[tasks] += units * UNIT
        self._carry.append(rows)
        return begins

    def batches(self) -> Iterator[Columns]:
        """Yield non-empty batches without end, each with all columns of the trace format except `cpu`.

        `bytes` is -1 if unknown.

        Raises UsageError when the rows reach the maximum time of the trace format.
        """
        window = 0.0
        rows_out = 0
        while True:
            self._draw_until(int(self._frontier_ns.min() + window))
            batch = self._complete_rows(int(self._frontier_ns.min()))
            time_ns = batch["time_ns"]
            if len(time_ns):
                if time_ns[-1] >= MAX_TIME_NS:
                    fits = rows_out + int(np.searchsorted(time_ns, MAX_TIME_NS))
                    if fits > rows_out:
                        yield self._number(_take(batch, slice(fits - rows_out)))
                    raise UsageError(
                        f"the workload reaches the maximum span of a trace, {MAX_TIME_NS / 3.6e12:.1f} "
                        f"hours, after {fits} operations; generate fewer operations or reduce think and wait"
                    )
                rows_out += len(time_ns)
                yield self._number(batch)
            window = self._next_window(window, len(time_ns))

    def _next_window(self, window: float, emitted: int) -> float:
        """Return the span in ns in which approximately one batch of rows begins."""
        if window == 0.0:
            cycles = np.maximum((self._frontier_ns - self._started_ns) / self._drawn, 1.0)
            return max(self._batch_rows / float((1.0 / cycles).sum()), 1.0)
        change = self._batch_rows / max(emitted, 1)
        return max(window * min(max(change, 0.5), 2.0), 1.0)

    def _draw_until(self, horizon_ns: int) -> None:
        """Draw tasks until no frontier is before the horizon, or until two batches of rows are drawn."""
        added = 0
        while added < 2 * self._batch_rows:
            behind = np.flatnonzero(self._frontier_ns < horizon_ns).astype(np.int32)
            if not behind.size:
                return
            cycle = (self._frontier_ns[behind] - self._started_ns[behind]) / self._drawn[behind]
            missing = (horizon_ns - self._frontier_ns[behind]) / np.maximum(cycle, 1.0) / UNIT
            # Draw tasks with similar numbers of missing operations together, the furthest behind first.
            order = np.argsort(-missing, kind="stable")
            behind, missing = behind[order], missing[order]
            start = 0
            while start < len(behind) and added < 2 * self._batch_rows:
                most = min(self._most_units, int(missing[start]) + 1, _BLOCK_ROWS // UNIT)
                stop = start + max(1, _BLOCK_ROWS // (UNIT * most))
                units = min(most, int(np.median(missing[start:stop])) + 1)
                self._draw(behind[start:stop], units)
                added += len(behind[start:stop]) * units * UNIT
                start = stop

    def _complete_rows(self, before_ns: int) -> Columns:
        """Remove the rows that begin before `before_ns` from the carry, and return them sorted."""
        rows = {name: np.concatenate([part[name] for part in self._carry]) for name in self._carry[0]}
        complete = rows["time_ns"] < before_ns
        self._carry = [_take(rows, np.flatnonzero(~complete))]
        chosen = np.flatnonzero(complete)
        return _take(rows, chosen[_order(rows["time_ns"][chosen], rows["task"][chosen])])

    def _number(self, rows: Columns) -> Columns:
        process = rows["task"] // np.int32(self._drawer.workload.threads_per_process)
        numbers = {
            "task": _renumber(rows["task"], self._task_number),
            "process": _renumber(process, self._process_number),
        }
        return rows | numbers


def _take(rows: Columns, index: Index | slice) -> Columns:
    return {name: column[index] for name, column in rows.items()}


def _order(time_ns: Integers, task: NDArray[np.int32]) -> Index:
    """Return the order by time, then task, then position; int64 [n].

    Numpy uses radix sort for 16-bit keys, which is several times faster than sorting words. The times are
    therefore sorted by 16 bits at a time, and the few rows with equal times are sorted afterwards.
    """
    if len(time_ns) == 0:
        return np.empty(0, np.intp)
    since = time_ns - time_ns.min()
    order = np.argsort(since.astype(np.uint16), kind="stable")
    longest = int(since.max())
    shift = 16
    while longest >> shift:
        digit = (since >> shift).astype(np.uint16)
        order = order.take(np.argsort(digit.take(order), kind="stable"))
        shift += 16
    ordered = since.take(order)
    same_as_next = np.concatenate((ordered[1:] == ordered[:-1], [False]))
    tied = same_as_next.copy()
    tied[1:] |= same_as_next[:-1]
    places = np.flatnonzero(tied)
    if places.size:
        among = order[places]
        order[places] = among[np.lexsort((among, task[among], time_ns[among]))]
    return order


def _renumber(ids: NDArray[np.int32], number: NDArray[np.int32]) -> NDArray[np.int32]:
    """Replace ids by numbers in order of first appearance; `number` stores them (-1: new) and is updated."""
    renumbered = number[ids]
    unseen = np.flatnonzero(renumbered < 0)
    if not unseen.size:
        return renumbered
    fresh, first = np.unique(ids[unseen], return_index=True)
    number[fresh[np.argsort(first)]] = number.max() + 1 + np.arange(len(fresh), dtype=np.int32)
    return number[ids]
