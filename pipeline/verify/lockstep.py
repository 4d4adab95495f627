"""Lock-step: the same design that `replay` runs, given the lock in the order in which a real kernel gave it.

A recording of the kernel's pool has one event for whatever happens inside kmap_lock. Each operation of the
recording is put to the design when the recording gives it the lock, and what the design then does - slot,
count, scan, evicted pages in their order, flush, sleep - is compared with what the kernel did.

One thing the lock does not order: an unmap wakes the sleepers after it has released the lock. A task that
went to sleep in between is woken too, though the design's own wake-up came before it slept; until the
unmapping task is seen again, its wake-up may still be under way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.allocators.contract import Shape, parse_options
from pipeline.allocators.registry import DesignFile, load_design
from pipeline.errors import UsageError
from pipeline.machine.compose import compose
from pipeline.machine.profile import load_profile
from pipeline.machine.simulator import actions, records
from pipeline.machine.world import Setting, build_design, build_world
from pipeline.progress import progress
from pipeline.verify.recording import (
    ENTER,
    FLUSH,
    MAPPED,
    NONE,
    PAGE_ADDRESS,
    SCAN,
    SLEEP,
    UNMAPPED,
    WOKEN,
    PoolEvents,
    read_pool_events,
    without_begun_turn,
)
from pipeline.verify.start import PoolState, fresh_pool, pool_at_start

_PROGRESS_EVENTS = 1 << 12
# Any profile will do: nothing is priced in lock-step.
_ANY_MACHINE = "numaq16"
_TOO_MANY_STEPS = 1 << 20
_BRIEF = 60
_REQUEST_FIELDS = ("page", "task", "process", "slot", "unmapping", "step", "depth")


@dataclass(frozen=True)
class Difference:
    """One thing that the design did otherwise: at which event, for which task, kernel's and design's."""

    seq: int
    pid: int
    what: str
    kernel: str
    design: str

    def line(self) -> str:
        """One line of text."""
        return f"event {self.seq:,}, task {self.pid}: {self.what}: kernel {self.kernel}, design {self.design}"


@dataclass
class Agreement:
    """What a lock-step replay found: how much was compared, and every difference."""

    recording: Path
    allocator: str
    start: str
    compared: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether there is no difference at all."""
        return not self.differences

    def text(self, most: int = 20) -> str:
        """The result for a person; the first `most` differences in full."""
        lines = [f"{self.recording.name}, {self.allocator}, {self.start}"]
        by_kind = Counter(difference.what for difference in self.differences)
        width = max(len(what) for what in self.compared)
        for what, number in self.compared.items():
            wrong = by_kind.get(what, 0)
            lines.append(
                f"  {what:<{width}}  {number:>9,}  {'all agree' if not wrong else f'{wrong:,} differ'}"
            )
        lines += [f"  note: {note}" for note in self.notes]
        lines += [difference.line() for difference in self.differences[:most]]
        if len(self.differences) > most:
            lines.append(f"and {len(self.differences) - most:,} more; later ones may follow from the first")
        lines.append("no difference" if self.agrees else f"{len(self.differences):,} differences")
        return "\n".join(lines) + "\n"


@dataclass
class _Seen:
    """What the kernel did for one task since it last got the lock."""

    scans: int = 0
    flushes: int = 0
    evicted: list[int] = field(default_factory=list)


@dataclass
class _Did:
    """What the design did in one turn with the lock."""

    action: int
    scans: int
    flushes: int
    evicted: list[int]

    @property
    def end(self) -> str:
        """How the turn ended, in words."""
        return "mapped" if self.action == actions.DONE else "slept"


def verify(
    recording: Path, *, allocator: str, options: Mapping[str, str] | None = None, start: str = "found"
) -> Agreement:
    """Replay a recording of the kernel's pool through a design in the recording's own lock order.

    `recording` is `*.kmap.parquet` or raw tracefs text. `start` is "found" (the pool's state is worked out
    from the recording, see pipeline.verify.start) or "fresh". The design needs a field `count` in its slots
    and, for a pool that is not fresh, `start_at` and `adopt`. Raises InputError for a recording that cannot
    be read and UsageError for options that do not fit it.
    """
    events = read_pool_events(Path(recording))
    design = load_design(allocator)
    lockstep = _Lockstep(events, design, dict(options or {}), start)
    return lockstep.run()


class _Lockstep:
    def __init__(self, events: PoolEvents, design: DesignFile, options: dict[str, str], start: str) -> None:
        events = without_begun_turn(events)
        self.events = events
        values = parse_options(design.options, options, design.name)
        slots = int(values.get("slots", 0))
        largest = int(events.slot.max())
        if largest >= slots:
            raise UsageError(
                f"{events.path}: its slots reach {largest}, but {design.name} has {slots}; give the recorded "
                "kernel's size, such as --set slots=512"
            )
        self.pages, page_numbers = np.unique(events.page, return_inverse=True)
        self.page_number = page_numbers
        shape = Shape(int(events.cpu.max()) + 1, _most_open(events) + 1, 1, len(self.pages))
        self.state = build_design(design, values, shape)
        setting = Setting(
            seed=0, loop=records.CLOSED, log=False, chunk_rows=1, chunk_slots=1, chunks=1, levels=1
        )
        machine = load_profile(_ANY_MACHINE).with_cpus(shape.cpus)
        self.world = build_world(machine, design, values, shape, setting, self.state)
        self.simulator = compose(design)
        # Plain columns: a field of a record array is looked up by name at every access.
        self.request = {name: np.asarray(self.world.requests)[name] for name in _REQUEST_FIELDS}
        self.deed = {name: np.asarray(self.world.deed)[name] for name in ("scans", "evicted")}
        self.use_count = np.asarray(self.state.slots)["count"]
        self.evicted = np.asarray(self.state.evicted)["page"]
        self.free = list(range(shape.tasks))
        self.pending: dict[int, int] = {}
        self.open: dict[tuple[int, int], list[int]] = defaultdict(list)
        self.seen: dict[int, _Seen] = defaultdict(_Seen)
        self.queue: list[int] = []
        self.woken: set[int] = set()
        self.sleepers: set[int] = set()
        self.waking: set[int] = set()
        self.may_be_woken_late: set[int] = set()
        pool = fresh_pool(slots) if start == "fresh" else pool_at_start(events, slots)
        self.result = Agreement(events.path, _named(design, options), _begun(pool, start))
        self._adopt(design, pool)

    def _adopt(self, design: DesignFile, pool: PoolState) -> None:
        if pool.cursor == 0 and pool.adopted == 0:
            return
        module: Any = design.module
        if not hasattr(module, "adopt") or not hasattr(module, "start_at"):
            raise UsageError(
                f"{self.events.path}: its pool was in use when the recording began, and {design.name} "
                "defines no start_at and adopt to take it over; use --start fresh or a recording of a fresh "
                "pool"
            )
        module.start_at(self.state, pool.cursor)
        number = {int(page): k for k, page in enumerate(self.pages)}
        for slot in np.flatnonzero(pool.count).tolist():
            module.adopt(self.state, slot, number.get(int(pool.page[slot]), NONE), int(pool.count[slot]))

    def run(self) -> Agreement:
        events = self.events
        codes, pids = events.code.tolist(), events.pid.tolist()
        handlers = {
            ENTER: self._enter, SCAN: self._scan, FLUSH: self._flush, PAGE_ADDRESS: self._page_address,
            MAPPED: self._mapped, SLEEP: self._sleep, WOKEN: self._woken, UNMAPPED: self._unmapped,
        }  # fmt: skip
        with progress("verifying", len(codes), "events") as advance:
            for row, (code, pid) in enumerate(zip(codes, pids, strict=True)):
                self.waking.discard(pid)
                handlers[code](row, pid)
                if row % _PROGRESS_EVENTS == 0:
                    advance(_PROGRESS_EVENTS)
        if events.lost:
            self.result.notes.append(f"{events.lost:,} events were lost by the recorder")
        return self.result

    def _enter(self, row: int, pid: int) -> None:
        self._begin(row, pid)

    def _begin(self, row: int, pid: int) -> int:
        i = self.free.pop()
        request = self.request
        request["page"][i] = self.page_number[row]
        request["task"][i] = request["process"][i] = i
        request["slot"][i] = -1
        request["unmapping"][i] = request["step"][i] = request["depth"][i] = 0
        self.pending[pid] = i
        return i

    def _scan(self, _row: int, pid: int) -> None:
        self.seen[pid].scans += 1

    def _flush(self, _row: int, pid: int) -> None:
        self.seen[pid].flushes += 1

    def _page_address(self, row: int, pid: int) -> None:
        if self.events.vaddr[row] == 0:
            self.seen[pid].evicted.append(int(self.page_number[row]))

    def _mapped(self, row: int, pid: int) -> None:
        if pid not in self.pending:
            self._begin(row, pid)
        i = self.pending.pop(pid)
        did = self._turn(row, i)
        self._compare_turn(row, pid, did)
        self._compare(
            row, pid, "slept or mapped", "mapped", "mapped" if did.action == actions.DONE else "slept"
        )
        if did.action != actions.DONE:
            self.free.append(i)
            return
        slot = int(self.request["slot"][i])
        self._compare(row, pid, "slot", int(self.events.slot[row]), slot)
        self._compare(row, pid, "use count", int(self.events.count[row]), int(self.use_count[slot]))
        self.open[pid, int(self.events.page[row])].append(i)

    def _sleep(self, row: int, pid: int) -> None:
        if pid not in self.pending:
            self._begin(row, pid)
        i = self.pending[pid]
        did = self._turn(row, i)
        self._compare_turn(row, pid, did)
        self._compare(
            row, pid, "slept or mapped", "slept", "mapped" if did.action == actions.DONE else "slept"
        )
        self.sleepers.add(pid)
        self.woken.discard(pid)
        self.queue.append(pid)
        self.state.queues[0].sleepers = len(self.queue)
        if self.waking:
            self.may_be_woken_late.add(pid)

    def _woken(self, row: int, pid: int) -> None:
        if pid not in self.sleepers:
            self.result.compared["asleep since before the recording"] += 1
            return
        self.sleepers.discard(pid)
        late = pid in self.may_be_woken_late and pid not in self.woken
        if late:
            self.result.compared["wake-ups under way"] += 1
        self._compare(row, pid, "wake-up", "woken", "woken" if pid in self.woken or late else "asleep")
        self.woken.discard(pid)
        self.may_be_woken_late.discard(pid)
        if pid in self.queue:
            self.queue.remove(pid)
            self.state.queues[0].sleepers = len(self.queue)

    def _unmapped(self, row: int, pid: int) -> None:
        known = self.open.get((pid, int(self.events.page[row])))
        if known:
            i = known.pop()
        else:
            # Mapped before the recording began: its slot is one of those adopted.
            i = self._begin(row, pid)
            del self.pending[pid]
            self.request["slot"][i] = self.events.slot[row]
        self.request["unmapping"][i], self.request["step"][i] = 1, 0
        self._turn(row, i)
        slot = int(self.request["slot"][i])
        self._compare(row, pid, "slot unmapped", int(self.events.slot[row]), slot)
        self._compare(row, pid, "use count", int(self.events.count[row]), int(self.use_count[slot]))
        if self.events.count[row] == 1 and self.sleepers:
            self.waking.add(pid)
        self.free.append(i)

    def _turn(self, row: int, i: int) -> _Did:
        """Let the design take its steps from asking for the lock until it is done or sleeps."""
        did = _Did(actions.STEP, 0, 0, [])
        cpu = int(self.events.cpu[row])
        for _ in range(_TOO_MANY_STEPS):
            did.action = int(self.simulator.step(self.world, self.state, i, cpu))
            if self.deed["scans"][0]:
                did.scans += int(self.deed["scans"][0])
                did.evicted += self.evicted[: self.deed["evicted"][0]].tolist()
            if did.action in (actions.FLUSH_ALL, actions.FLUSH_MASK):
                did.flushes += 1
            elif did.action in (actions.WAKE_ALL, actions.WAKE_ONE):
                self._wake(1 if did.action == actions.WAKE_ONE else len(self.queue))
            elif did.action in (actions.DONE, actions.SLEEP):
                return did
        raise UsageError(
            f"{self.result.allocator}: takes more than {_TOO_MANY_STEPS:,} steps for one operation"
        )

    def _wake(self, most: int) -> None:
        self.woken.update(self.queue[:most])
        del self.queue[:most]
        self.state.queues[0].sleepers = len(self.queue)

    def _compare_turn(self, row: int, pid: int, did: _Did) -> None:
        seen = self.seen.pop(pid, _Seen())
        self._compare(row, pid, "scans", seen.scans, did.scans)
        self._compare(row, pid, "TLB flushes", seen.flushes, did.flushes)
        self._compare(row, pid, "pages evicted", seen.evicted, did.evicted)
        if seen.evicted:
            self.result.compared["pages evicted, in order"] += len(seen.evicted)

    def _compare(self, row: int, pid: int, what: str, kernel: object, design: object) -> None:
        self.result.compared[what] += 1
        if kernel != design:
            seq = int(self.events.seq[row])
            self.result.differences.append(Difference(seq, pid, what, _brief(kernel), _brief(design)))


def _most_open(events: PoolEvents) -> int:
    """Most mappings open or asked for at once, those from before the recording not counted."""
    change = np.select([events.code == ENTER, events.code == UNMAPPED], [1, -1], 0)
    running = np.cumsum(change)
    # An unmap of something mapped before takes the sum below zero: count from the lowest point.
    return int(running.max() - min(int(running.min()), 0)) + 1


def _named(design: DesignFile, options: dict[str, str]) -> str:
    return design.name + "".join(f" {name}={value}" for name, value in options.items())


def _begun(pool: PoolState, start: str) -> str:
    if pool.cursor == 0 and pool.adopted == 0:
        return "fresh pool" + (" (as told)" if start == "fresh" else "")
    used = int((pool.count > 1).sum())
    adopted = f"{pool.adopted} slots adopted, {used} of them held"
    return f"pool in use at the start: cursor at {pool.cursor}, {adopted}"


def _brief(value: object) -> str:
    text = str(value)
    if len(text) <= _BRIEF:
        return text
    return f"{text[:_BRIEF]}..." + (f" ({len(value)} of them)" if isinstance(value, list) else "")
