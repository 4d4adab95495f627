"""Draw the operations of tasks from a workload spec, in blocks of 16 operations per task.

A nested operation begins at a random point of its parent's own hold. The part of the hold before this point
is the think of the nested operation. Its hold and block are added to those of the parent, so the parent's
times include all nested operations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.schema.names import KINDS
from pipeline.workload.distributions import NOTHING, Constant, Empirical, TimeDistribution
from pipeline.workload.random_streams import UNIT, Numbers, Purpose, Streams, stream
from pipeline.workload.read_spec import NamedWorkload
from pipeline.workload.sampling_tables import AliasTable, Columns, Index, Integers, QuantileTable, Raw
from pipeline.workload.spec import Sometimes, SomeValues

_CHANCE_BITS = 53
_ONE_PAGE = Constant(dist="constant", ns=1)


@dataclass
class _Level:
    """The operations of one depth in a block, with the columns of the trace format."""

    numbers: Numbers
    outermost: Index | None
    """Outermost operation that encloses each operation; None at depth 0."""
    parent: Index | None
    """Enclosing operation of each operation, as an index into the previous level; None at depth 0."""
    task: NDArray[np.int32]
    which: Index
    think_ns: Integers
    wait_ns: Integers
    own_hold_ns: Integers = field(init=False)
    """`hold_ns` without nested operations."""
    hold_ns: Integers = field(init=False)
    block_ns: Integers = field(init=False)

    def draw(self, purpose: Purpose) -> Raw:
        return self.numbers.of(purpose, self.outermost)


class _SometimesTable:
    """A time for each kind of operation, which occurs with the kind's probability and otherwise is 0."""

    def __init__(self, times: list[Sometimes | None], chance: Purpose, time: Purpose) -> None:
        self.chances = np.array([time.probability if time else 0.0 for time in times])
        self._table = QuantileTable([time.time if time else NOTHING for time in times])
        self.means_ns = self.chances * self._table.means_ns
        self._limits = np.rint(self.chances * 2.0**_CHANCE_BITS).astype(np.uint64)
        self._chance, self._time = chance, time

    @property
    def draws_chance(self) -> bool:
        """Whether a random number decides for each operation if its time occurs."""
        return bool(self.chances.any() and self.chances.min() < 1.0)

    def draw(self, which: Index, numbers: Numbers, rows: Index | None = None) -> Integers:
        """Return times of operations of the kinds `which`, int64 [n] in ns, from `numbers` at `rows`."""
        if not self.chances.any():
            return np.zeros(len(which), np.int64)
        if not self.draws_chance:
            return self._table.draw(numbers.of(self._time, rows), which)
        passes = _fraction(numbers.of(self._chance, rows)) < self._limits[which]
        chosen = np.flatnonzero(passes)
        times = np.zeros(len(which), np.int64)
        times[chosen] = self._table.draw(numbers.of(self._time, rows)[chosen], which[chosen])
        return times


# The numbers of later kinds follow those of all tasks for these, so traces without them do not change.
_FIRST_KINDS = 6


class Drawer:
    """Draws blocks of operations of selected tasks; its state is each task's position in its streams."""

    def __init__(self, named: NamedWorkload, seed: int) -> None:
        """Build tables and streams. Raises InputError if the operations of the spec take no time."""
        workload = named.workload
        self.workload = workload
        names = sorted(workload.kinds, key=KINDS.index)
        kinds = [workload.kinds[name] for name in names]
        self._codes = np.array([KINDS.index(name) for name in names], np.int8)
        self._nested = [
            [(names.index(inner), chance) for inner, chance in sorted(kind.nested.items())] for kind in kinds
        ]
        self._share = [kind.share for kind in kinds]
        self._run_chance = 1.0 / workload.kind_runs.mean_operations if workload.kind_runs else 1.0
        self._last_kind = self._kind_of(stream(seed, 0, 1).random_raw(workload.tasks), 1.0)
        self._think = QuantileTable([kind.think for kind in kinds])
        self._wait = _SometimesTable([k.wait for k in kinds], Purpose.WAIT_CHANCE, Purpose.WAIT)
        self._hold = QuantileTable([kind.hold for kind in kinds])
        self._block = _SometimesTable([k.block for k in kinds], Purpose.BLOCK_CHANCE, Purpose.BLOCK)
        sizes = [kind.bytes for kind in kinds]
        self.copies = any(sizes)
        self._one_size = np.array([size.values[0] if size else -1 for size in sizes], np.int32)
        self._sizes = QuantileTable([_as_distribution(size) for size in sizes])
        self._varied_sizes = any(size is not None and len(size.values) > 1 for size in sizes)
        lengths = [kind.pages for kind in kinds]
        self.has_lengths = any(lengths)
        self._lengths = QuantileTable([_as_distribution(some) if some else _ONE_PAGE for some in lengths])
        varied_lengths = any(some is not None and len(some.values) > 1 for some in lengths)
        self._one_length = None if varied_lengths else np.array([kind.most_pages for kind in kinds], np.int32)
        self._long_lived = [kind.long_lived for kind in kinds]
        self._long_hold = QuantileTable([(k.long_lived and k.long_lived.hold) or NOTHING for k in kinds])
        self._long_block = QuantileTable([(k.long_lived and k.long_lived.block) or NOTHING for k in kinds])
        self._burst_chance = 1.0 / workload.bursts.mean_operations if workload.bursts else 0.0
        self._burst_idle = QuantileTable([workload.bursts.idle if workload.bursts else NOTHING])
        self._require_time_to_pass(named)

        page_sets = list(workload.page_sets.values())
        self._alias = [AliasTable(one.pages, one.skew, one.hot_pages) for one in page_sets]
        self._set_pages = [workload.instance_pages(name) for name in workload.page_sets]
        counts = [
            pages * workload.instances(one) for pages, one in zip(self._set_pages, page_sets, strict=True)
        ]
        self._set_base = np.cumsum([0, *counts[:-1]])
        self._set_of_kind = np.array([list(workload.page_sets).index(kind.page_set) for kind in kinds])
        self.depth = workload.nesting_depth()
        needs_rare = (
            self._wait.draws_chance or self._block.chances.any() or self._varied_sizes or self.depth > 0
            or workload.bursts is not None or any(self._long_lived)
        )  # fmt: skip
        self._streams = [
            Streams(seed, depth, workload.tasks, rare=bool(needs_rare), pages=varied_lengths)
            for depth in range(self.depth + 1)
        ]
        # For each task, a number for its start, then one for each kind of the trace format.
        numbers = stream(seed, 0, 0).random_raw(workload.tasks * (1 + len(KINDS)))
        parts = np.split(numbers, [workload.tasks * (1 + _FIRST_KINDS)])
        once = np.concatenate([part.reshape(workload.tasks, -1).T for part in parts])
        self.start_ns = QuantileTable([workload.start]).draw(once[0])
        self._long_lived_tasks = [
            _below(once[1 + code], long.share) if long and long.of == "tasks" else None
            for code, long in zip(self._codes.tolist(), self._long_lived, strict=True)
        ]

    def _require_time_to_pass(self, named: NamedWorkload) -> None:
        means_ns = sum(table.means_ns for table in (self._think, self._wait, self._hold, self._block))
        cycle = float((np.array(self._share) * means_ns).sum())
        cycle += self._burst_chance * float(self._burst_idle.means_ns[0])
        if cycle < 1.0:
            raise InputError(
                f"{named.path}: the mean time between operations of a task is {cycle:g} ns, but must be at "
                "least 1; increase think, wait, hold or block"
            )

    def draw(
        self, tasks: NDArray[np.int32], units: int, end_ns: Integers
    ) -> tuple[Columns, Integers, Integers]:
        """Draw the next n = `units` x 16 outermost operations of each of `tasks` (m different tasks).

        `end_ns` (int64 [m]) is the end of each task's previous operation. Return the rows, the begin of each
        task's first new operation and the end of its last (both int64 [m]). The rows are the outermost
        operations task by task, then those of depth 1, and so on. Their columns are those of the trace
        format, with `pages` if `has_lengths`, except that `task` is numbered as in the spec, `bytes` is -1 if
        unknown, and there is no `process`, which follows from the task.
        """
        top = self._outermost(tasks, units)
        levels = [top]
        for depth in range(1, self.depth + 1):
            levels.append(self._inside(levels[-1], self._streams[depth].read(tasks, units)))
        for outer, inner in zip(levels[-2::-1], levels[:0:-1], strict=True):
            # Each operation has at most one nested operation, so no index occurs twice.
            outer.hold_ns[inner.parent] += inner.hold_ns
            outer.block_ns[inner.parent] += inner.block_ns

        mapped = top.hold_ns + top.block_ns
        spans = (top.think_ns + top.wait_ns + mapped).reshape(len(tasks), -1)
        ends = end_ns[:, None] + np.cumsum(spans, axis=1)
        begins = ends - mapped.reshape(spans.shape)
        return self._rows(levels, begins.reshape(-1)), begins[:, 0], ends[:, -1]

    def _outermost(self, tasks: NDArray[np.int32], units: int) -> _Level:
        numbers = self._streams[0].read(tasks, units)
        task = np.repeat(tasks, units * UNIT)
        which = self._kinds(numbers.of(Purpose.KIND), tasks)
        wait_ns = self._wait.draw(which, numbers)
        if self._burst_chance:
            idle = np.flatnonzero(_below(numbers.of(Purpose.BURST_CHANCE), self._burst_chance))
            wait_ns[idle] += self._burst_idle.draw(numbers.of(Purpose.BURST_IDLE, idle))
        think_ns = self._think.draw(numbers.of(Purpose.THINK), which)
        return self._map(_Level(numbers, None, None, task, which, think_ns, wait_ns))

    def _kinds(self, chosen: Raw, tasks: NDArray[np.int32]) -> Index:
        """Return the kinds of the next outermost operations of `tasks`, task by task.

        One random number decides whether a run of one kind ends (if the number is below that probability),
        and its position within that range decides which kind comes next.
        """
        which = self._kind_of(chosen, self._run_chance)
        if self._run_chance == 1.0:
            return which
        drawn = _below(chosen, self._run_chance).reshape(len(tasks), -1)
        # Each operation has the kind drawn last, possibly in an earlier block.
        known = np.concatenate([self._last_kind[tasks][:, None], which.reshape(drawn.shape)], axis=1)
        last_drawn = np.maximum.accumulate(np.where(drawn, np.arange(1, known.shape[1]), 0), axis=1)
        kinds = np.take_along_axis(known, last_drawn, axis=1)
        self._last_kind[tasks] = kinds[:, -1]
        return kinds.reshape(-1)

    def _kind_of(self, chosen: Raw, chance: float) -> Index:
        """Return kinds by their shares for numbers below `chance`; the last kind for others."""
        which = np.zeros(len(chosen), np.intp)
        for until in np.cumsum(self._share)[:-1]:
            which += ~_below(chosen, float(until) * chance)
        return which

    def _inside(self, outer: _Level, numbers: Numbers) -> _Level:
        """Return the operations that are nested in those of `outer`, at most one in each."""
        chosen = outer.draw(Purpose.NESTED)
        inner = np.full(len(chosen), -1, np.intp)
        for at, choices in enumerate(self._nested):
            until = 0.0
            taken = np.zeros(len(chosen), np.bool_)
            for kind, chance in choices:
                until += chance
                here = (outer.which == at) & _below(chosen, until) & ~taken
                inner[here] = kind
                taken |= here
        parent = np.flatnonzero(inner >= 0)
        outermost = parent if outer.outermost is None else outer.outermost[parent]
        # At least 1 ns of the parent follows, so it ends after its nested operation begins.
        grown = np.maximum(outer.own_hold_ns[parent], 1)
        outer.hold_ns[parent] += grown - outer.own_hold_ns[parent]
        outer.own_hold_ns[parent] = grown
        point = (numbers.of(Purpose.THINK, outermost) >> np.uint64(48)).view(np.int64)
        think_ns = (grown * point) >> 16
        nothing = np.zeros(len(parent), np.int64)
        task = outer.task[parent]
        return self._map(_Level(numbers, outermost, parent, task, inner[parent], think_ns, nothing))

    def _map(self, level: _Level) -> _Level:
        """Draw the hold and block of the operations of a level."""
        hold_ns = self._hold.draw(level.draw(Purpose.HOLD), level.which)
        block_ns = self._block.draw(level.which, level.numbers, level.outermost)
        for at, long in enumerate(self._long_lived):
            if long is None:
                continue
            mine = level.which == at
            tasks = self._long_lived_tasks[at]
            if tasks is not None:
                mine &= tasks[level.task]
            else:
                mine &= _below(level.draw(Purpose.LONG_LIVED), long.share)
            if long.hold:
                hold_ns[mine] = self._long_hold.draw(level.draw(Purpose.HOLD)[mine], at)
            if long.block:
                block_ns[mine] = self._long_block.draw(level.draw(Purpose.BLOCK)[mine], at)
        level.own_hold_ns, level.hold_ns, level.block_ns = hold_ns, hold_ns.copy(), block_ns
        return level

    def _pages(self, level: _Level) -> Integers:
        raw = level.draw(Purpose.PAGE)
        if len(self._alias) == 1:
            return self._pages_of_set(0, raw, level.task)
        page = np.empty(len(raw), np.int64)
        set_of_row = self._set_of_kind[level.which]
        for at in range(len(self._alias)):
            rows = np.flatnonzero(set_of_row == at)
            page[rows] = self._pages_of_set(at, raw[rows], level.task[rows])
        return page

    def _pages_of_set(self, at: int, raw: Raw, task: NDArray[np.int32]) -> Integers:
        page_set = list(self.workload.page_sets.values())[at]
        page = self._alias[at].draw(raw)
        page += self._set_base[at]
        if page_set.sharing == "task":
            page += task.astype(np.int64) * self._set_pages[at]
        elif page_set.sharing == "process":
            page += (task // self.workload.threads_per_process).astype(np.int64) * self._set_pages[at]
        return page

    def _mapping_pages(self, level: _Level) -> NDArray[np.int32]:
        if self._one_length is not None:
            return self._one_length.take(level.which)
        return self._lengths.draw(level.draw(Purpose.PAGES), level.which).astype(np.int32)

    def _copy_sizes(self, level: _Level) -> NDArray[np.int32]:
        one_size = self._one_size.take(level.which)
        if not self._varied_sizes:
            return one_size
        sizes = self._sizes.draw(level.draw(Purpose.BYTES), level.which).astype(np.int32)
        return np.where(one_size < 0, one_size, sizes)

    def _rows(self, levels: list[_Level], begins: Integers) -> Columns:
        """Return all levels of a block as rows; `begins` are the begins of the outermost operations."""
        times = [begins]
        for level in levels[1:]:
            times.append(times[-1][level.parent] + level.think_ns)
        parts = [
            {
                "time_ns": time_ns,
                "task": level.task,
                "kind": self._codes[level.which],
                "page": self._pages(level),
                "bytes": self._copy_sizes(level),
                **{name: getattr(level, name) for name in ("think_ns", "wait_ns", "hold_ns", "block_ns")},
                "depth": np.full(len(time_ns), depth, np.int8),
                **({"pages": self._mapping_pages(level)} if self.has_lengths else {}),
            }
            for depth, (time_ns, level) in enumerate(zip(times, levels, strict=True))
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _fraction(raw: Raw) -> Raw:
    """Return the upper bits, which decide events with a probability."""
    return raw >> np.uint64(64 - _CHANCE_BITS)


def _below(raw: Raw, chance: float) -> NDArray[np.bool_]:
    """Return True with probability `chance`; always at 1, never at 0."""
    return _fraction(raw) < np.uint64(round(chance * 2.0**_CHANCE_BITS))


def _as_distribution(some: SomeValues | None) -> TimeDistribution:
    if some is None:
        return NOTHING
    return Empirical(dist="empirical", values_ns=some.values, weights=some.weights)
