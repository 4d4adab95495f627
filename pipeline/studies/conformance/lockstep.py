"""Lock-step: the design that `replay` runs takes the lock in the order recorded from a real kernel.

A recording of the kernel's pool has an event for each action inside kmap_lock. The design takes each turn
with the lock in the recorded order. Its actions (slot, count, scan, evicted pages in order, flush, sleep) are
compared with the kernel's.

The lock does not order wake-ups: an unmap wakes the sleepers after it has released the lock. A task that goes
to sleep in between is woken too, although the design's own wake-up comes before its sleep. Until the
unmapping task appears again in the recording, its wake-up may still be in progress.

After a gap of lost events, the state of the pool is inferred again from the events that follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.allocators.api import actions
from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.contract import Shape, Value, parse_options
from pipeline.allocators.registry import load_allocator
from pipeline.errors import InputError, UsageError
from pipeline.importing.kmap_pool.events import (
    EVENTS,
    FLUSH,
    MAPPED,
    NONE,
    PAGE_ADDRESS,
    SCAN,
    SLEEP,
    UNMAPPED,
    PoolEvents,
    split_at_gaps,
)
from pipeline.importing.kmap_pool.initial_state import PoolState, fresh_pool, infer_initial_state
from pipeline.importing.kmap_pool.lock_schedule import (
    FLUSHES,
    MAPS,
    SLEEPS,
    UNMAPS,
    LockSchedule,
    schedule_holds,
)
from pipeline.importing.kmap_pool.recordings import read_pool_events
from pipeline.io.numbers import format_count
from pipeline.io.progress import progress
from pipeline.machine.compose import compose
from pipeline.machine.engine import records
from pipeline.machine.engine.lock_schedule import ASLEEP
from pipeline.machine.layout import RunSettings
from pipeline.machine.machine_state import build_allocator, build_machine_state
from pipeline.machine.profile import load_profile
from pipeline.studies.conformance.agreement import Agreement, Difference
from pipeline.studies.conformance.scheduled_requests import ScheduledRequests

_TURNS_AT_ONCE = 1 << 16
# Any profile works, because lock-step replay does not use costs.
_ANY_MACHINE = "numaq16"
# Differences kept for each quantity; all are counted.
_KEPT = 1000


def verify(
    recording: Path, *, allocator: str, options: Mapping[str, str] | None = None, start: str = "found"
) -> Agreement:
    """Replay a recording of the kernel's pool through a design in the recording's own lock order.

    `recording` is `*.kmap.parquet` or raw tracefs text. `start` is "found" (infer the pool's state from the
    recording, see `infer_initial_state`) or "fresh". The design must have a field `count` in its slots. A
    pool in use at the start also requires `start_at` and `adopt`, and scans outside of any mapping require
    `flush_unused`. Missing fields of events are derived from other events if possible. They are then not
    compared, and `lost` lists them. Raises InputError for a recording that cannot be read or followed, and
    UsageError for a design or options that do not fit the recording.
    """
    events = read_pool_events(Path(recording))
    loaded = load_allocator(allocator)
    values = parse_options(loaded.options, dict(options or {}), loaded.name)
    slots = int(values.get("slots", 0))
    largest = int(events.slot.max())
    if largest >= slots or "count" not in {field[0] for field in loaded.fields("SLOT")}:
        raise UsageError(
            f"{events.path}: the recording uses slot {largest}, but {loaded.name} has {slots} slots; set the "
            "recorded kernel's size, for example --set slots=512"
        )
    result = Agreement(events.path, _describe_allocator(loaded, dict(options or {})))
    parts = split_at_gaps(events)
    with progress(
        "verifying", int((np.isin(events.code, [MAPPED, UNMAPPED, SLEEP])).sum()), "turns"
    ) as advance:
        for number, part in enumerate(parts):
            schedule = schedule_holds(part)
            fresh = start == "fresh" and number == 0
            pool = fresh_pool(slots) if fresh else _find_start(events, schedule, slots)
            if number == 0:
                result.start = _describe_start(pool, start)
            if schedule.passed_over:
                result.notes.append(
                    f"{schedule.passed_over:,} turns with the lock were skipped: their unmaps have neither "
                    "page nor slot and end mappings made before the recording or a gap in it"
                )
            _Lockstep(events.path, schedule, pool, loaded, values, result).run(advance)
    result.lost |= _describe_losses(events)
    result.notes += _describe_derived(events)
    if events.lost:
        gaps = format_count(len(parts) - 1, "gap")
        result.notes.append(
            f"{events.lost:,} events were lost by the recorder"
            + (f"; the pool's state was inferred again after {gaps}" if len(parts) > 1 else "")
        )
    return result


class _Lockstep:
    """A part of a recording without lost events, and the design that follows it."""

    def __init__(
        self,
        path: Path,
        schedule: LockSchedule,
        pool: PoolState,
        loaded: Allocator,
        values: dict[str, Value],
        result: Agreement,
    ) -> None:
        self.path, self.schedule, self.loaded, self.result = path, schedule, loaded, result
        self.found: list[tuple[int, Difference]] = []
        self.requests = ScheduledRequests(schedule)
        shape = Shape(
            max(int(schedule.cpu.max(initial=0)), 0) + 1, self.requests.number, 1, len(schedule.pages)
        )
        self.state = build_allocator(loaded, values, shape)
        setting = RunSettings(seed=0, loop=records.CLOSED, log=False, chunk_rows=1, chunk_slots=1, levels=1)
        machine = load_profile(_ANY_MACHINE).with_cpus(shape.cpus)
        self.machine_state = build_machine_state(machine, loaded, values, shape, setting, self.state)
        # A correct design evicts no more pages than were mapped; further evictions are not stored.
        room = int((schedule.kind == MAPS).sum()) + len(pool.count)
        self.tables = self.requests.tables(room, len(self.state.queues))
        self._adopt(pool)

    def _adopt(self, pool: PoolState) -> None:
        if pool.cursor == 0 and pool.adopted == 0:
            return
        module: Any = self.loaded.module
        if not hasattr(module, "adopt") or not hasattr(module, "start_at"):
            raise UsageError(
                f"{self.path}: the pool was in use when the recording began, and {self.loaded.name} "
                "does not define start_at and adopt to take it over; use --start fresh or a recording of a "
                "fresh pool"
            )
        module.start_at(self.state, pool.cursor)
        for slot in np.flatnonzero(pool.count).tolist():
            module.adopt(self.state, slot, int(pool.page[slot]), int(pool.count[slot]))

    def run(self, advance: Callable[[int], None]) -> None:
        """Take every turn, then compare the answers."""
        number = len(self.schedule.kind)
        outside = np.flatnonzero(self.schedule.kind == FLUSHES).tolist()
        take_turns = compose(self.loaded).take_turns
        k = 0
        while k < number:
            stop = min([k + _TURNS_AT_ONCE, number, *outside[:1]])
            try:
                done = take_turns(self.machine_state, self.state, self.tables, k, stop)
            except IndexError as error:
                raise UsageError(
                    f"{self.result.allocator}: {error}, between events {int(self.schedule.seq[k]):,} and "
                    f"{int(self.schedule.seq[stop - 1]):,} of {self.path}; fix the design"
                ) from error
            if done != stop:
                raise UsageError(
                    f"{self.result.allocator}: an operation takes more than a million steps, at event "
                    f"{int(self.schedule.seq[done]):,} of {self.path}; fix the design"
                )
            advance(stop - k)
            if outside[:1] == [stop]:
                self._flush_unused(outside.pop(0))
                stop += 1
            k = stop
        self._compare_all()

    def _flush_unused(self, k: int) -> None:
        """Flush the unused mappings, as the kernel does when it changes page attributes."""
        module: Any = self.loaded.module
        if not hasattr(module, "flush_unused"):
            raise UsageError(
                f"{self.path}: at event {int(self.schedule.seq[k]):,} the kernel flushed its unused mappings "
                f"outside of any mapping, but {self.loaded.name} does not define flush_unused(a)"
            )
        answers, evicted = self.tables.answers, self.tables.evicted
        before = int(answers[k - 1].evicted) if k else 0
        pages = module.flush_unused(self.state)
        evicted["page"][before : before + len(pages)] = pages
        answers[k].evicted = before + len(pages)
        answers[k].scans = 1
        answers[k].flushes = int(len(pages) > 0)

    def _compare_all(self) -> None:
        schedule, answers = self.schedule, np.asarray(self.tables.answers)[: len(self.schedule.kind)]
        compared = self.result.compared
        maps, unmaps = schedule.kind == MAPS, schedule.kind == UNMAPS
        ends = maps | (schedule.kind == SLEEPS)
        outside = schedule.kind == FLUSHES
        for what, code, kernel, name in (
            ("scans", SCAN, schedule.scans, "scans"),
            ("TLB flushes", FLUSH, schedule.flushes, "flushes"),
        ):
            if code not in schedule.unrecorded:
                self._compare(what, ends | outside, kernel, answers[name], int(kernel.sum()))
        if PAGE_ADDRESS not in schedule.unrecorded:
            self._compare_evicted(answers["evicted"])
        mapped = answers["action"] == actions.DONE
        kernel, allocator = (np.where(done, "mapped", "slept") for done in (maps, mapped))
        self._compare("slept or mapped", ends, kernel, allocator, int(ends.sum()))
        for what, where, told, kernel, name in (
            ("slot", maps, schedule.slot_told, schedule.slot, "slot"),
            ("use count", maps | unmaps, schedule.count_told, schedule.count, "count"),
            ("slot unmapped", unmaps, schedule.slot_told, schedule.slot, "slot"),
        ):
            self._compare(
                what, where & told & (mapped | unmaps), kernel, answers[name], int((where & told).sum())
            )
        slept = schedule.woken & self.requests.slept
        still = slept & (answers["wake"] == ASLEEP)
        went_on = np.where(still & ~self.requests.late, "asleep", "woken")
        self._compare("wake-up", slept, np.full(len(maps), "woken"), went_on, int(slept.sum()))
        for what, number in (
            ("wake-ups in progress", int((still & self.requests.late).sum())),
            ("asleep since before the recording", int((schedule.woken & ~self.requests.slept).sum())),
            ("scans outside of any mapping", int(outside.sum())),
            ("turns cut off by the start or end of the recording", schedule.cut_off),
        ):
            if number:
                compared[what] += number
        self.result.differing["recording"] += len(schedule.broken)
        self.result.notes += schedule.broken
        self.found.sort(key=lambda difference: difference[0])
        self.result.differences += [difference for _, difference in self.found]

    def _compare(
        self, what: str, where: np.ndarray, kernel: np.ndarray, allocator: np.ndarray, amount: int
    ) -> None:
        """Compare the answers of the holds in `where`; `amount` is the number of comparisons to report."""
        self.result.compared[what] += amount
        for k in np.flatnonzero(where & (kernel != allocator)).tolist():
            self._differ(k, what, str(kernel[k]), str(allocator[k]))

    def _compare_evicted(self, ends: np.ndarray) -> None:
        """Compare the number of evicted pages and, where recorded, the pages in order.

        The pages of hold k end at `ends[k]`.
        """
        schedule, pages = self.schedule, np.asarray(self.tables.evicted)["page"]
        told = schedule.evicted_told
        self.result.compared["pages evicted, in order"] += int(told.sum())
        if not told.all():
            self.result.compared["pages evicted, count"] += len(told)
        begins = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        suspects = np.ones(len(ends), np.bool_)
        if len(ends) and int(ends[-1]) <= len(pages):
            same = np.diff(schedule.evicted_from) == ends - begins
            if same.all():
                wrong = np.flatnonzero((pages[: len(schedule.evicted)] != schedule.evicted) & told)
                suspects[:] = False
                suspects[np.searchsorted(ends, wrong, side="right")] = True
        for k in np.flatnonzero(suspects).tolist():
            kernel, allocator = schedule.evicted_by(k), pages[begins[k] : ends[k]]
            if len(kernel) != len(allocator) or ((kernel != allocator) & schedule.evicted_by(k, told)).any():
                kernel, allocator = kernel.tolist(), allocator.tolist()
                self._differ(k, "pages evicted", self._list_pages(kernel), self._list_pages(allocator))

    def _list_pages(self, pages: list[int]) -> str:
        shown = ", ".join(f"{int(self.schedule.pages[page]):#x}" for page in pages[:4])
        return f"{len(pages)} pages" + (f" ({shown}{', ...' if len(pages) > 4 else ''})" if pages else "")

    def _differ(self, k: int, what: str, kernel: str, allocator: str) -> None:
        self.result.differing[what] += 1
        if self.result.differing[what] <= _KEPT:
            seq, pid = int(self.schedule.seq[k]), int(self.schedule.pid[k])
            self.found.append((k, Difference(seq, pid, what, kernel, allocator)))


def _find_start(events: PoolEvents, schedule: LockSchedule, slots: int) -> PoolState:
    """Infer the pool's state at the start. Raises InputError if the recording lacks the necessary fields."""
    if (schedule.slot != NONE).any():
        pool = infer_initial_state(schedule, slots)
        if PAGE_ADDRESS in schedule.unrecorded and (pool.cursor or pool.adopted):
            raise _cannot_begin(events, "spa (a page's new address)")
        return pool
    if _begins_in_use(schedule):
        raise _cannot_begin(events, "nr or vaddr with km")
    return fresh_pool(slots)


def _begins_in_use(schedule: LockSchedule) -> bool:
    """Whether the recording unmaps or hits a page that it has not mapped before."""
    ends = np.flatnonzero(np.isin(schedule.kind, [MAPS, UNMAPS]))
    _, first = np.unique(schedule.page[ends], return_index=True)
    return not bool(schedule.takes[ends[first]].all())


def _cannot_begin(events: PoolEvents, wanted: str) -> InputError:
    return InputError(
        f"{events.path}: the pool was in use when the recording began, and its state cannot be inferred "
        f"without {wanted}; record that too, record from boot, or assume an unused pool with --start fresh"
    )


def _count_lacking(events: PoolEvents, code: int, told: np.ndarray) -> int:
    return int(((events.code == code) & ~told).sum())


def _describe_losses(events: PoolEvents) -> dict[str, str]:
    """Quantities that could not be compared completely, with the missing events or fields."""
    lost = {}
    for what, code in (("scans", SCAN), ("TLB flushes", FLUSH), ("pages evicted, in order", PAGE_ADDRESS)):
        if code in events.unrecorded:
            lost[what] = f"no {EVENTS[code]} was recorded"
    evicted = int((events.evicts() & ~events.page_told).sum())
    if evicted:
        lost["pages evicted, in order"] = f"{evicted:,} spa lack page; only their number was compared"
    for what, codes, told, name in (
        ("slot", [MAPPED], events.slot_told, "nr or vaddr"),
        ("use count", [MAPPED, UNMAPPED], events.count_told, "cnt"),
        ("slot unmapped", [UNMAPPED], events.slot_told, "nr"),
    ):
        lacking = {EVENTS[code]: _count_lacking(events, code, told) for code in codes}
        if any(lacking.values()):
            lost[what] = (
                " and ".join(f"{number:,} {event}" for event, number in lacking.items() if number)
                + f" lack {name}"
            )
    return lost


def _describe_derived(events: PoolEvents) -> list[str]:
    """Missing fields that were derived from other events."""
    notes = []
    nowhere = ~events.page_told & ~events.slot_told
    for code, lacks, fields, by in (
        (MAPPED, ~events.page_told, "page", "is derived from the task's request or the slot"),
        (UNMAPPED, ~events.page_told & events.slot_told, "page", "is derived from the slot"),
        (UNMAPPED, nowhere, "page and nr", "are assumed to be those of the task's latest mapping"),
    ):
        number = _count_lacking(events, code, ~lacks)
        if number:
            notes.append(f"{number:,} {EVENTS[code]} lack {fields}, which {by}")
    if SLEEP in events.unrecorded:
        notes.append("no slp was recorded: a task that continues later is assumed to have slept")
    return notes


def _describe_allocator(loaded: Allocator, options: dict[str, str]) -> str:
    return loaded.name + "".join(f" {name}={value}" for name, value in options.items())


def _describe_start(pool: PoolState, start: str) -> str:
    if pool.cursor == 0 and pool.adopted == 0:
        return "fresh pool" + (" (--start fresh)" if start == "fresh" else "")
    used = int((pool.count > 1).sum())
    adopted = f"{pool.adopted} slots adopted, {used} of them held"
    return f"pool in use at the start: cursor at {pool.cursor}, {adopted}"
