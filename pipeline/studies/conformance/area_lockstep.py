"""Lock-step with a kernel's vmalloc: a design frees and purges areas in the order recorded.

The recording has the address of each map, the counter of lazy pages after each free, and the range and number
of areas of each purge. The design is told the addresses and the moments of purges (see `area_schedule`). Its
counter, the frees at which it asks for a purge, and what each purge collects and flushes are compared.

What the kernel's code leaves open is allowed, and counted:

- While a purge returns its pages, the kernel subtracts them list by list or area by area. A free in that time
  may see any value between none and all of them returned.
- A purge collects the lists of CPUs one after another, while areas are freed (see `area_lists`). Where the
  recording does not tell which areas it collected, the comparison begins again after it.
- A purge that the counter does not cause (no address space left, or vm_unmap_aliases) is followed. The caller
  of vm_unmap_aliases adds a range of its own, so that more than the areas is flushed. The beginning or end
  of the range is then not that of a freed area.
- Work is queued for each free above the limit, and once more if that happens after the worker has begun.
  Another purge may therefore follow without another such free.

Source: mm/vmalloc.c of Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from pipeline.allocators.components.address_space import SPACE_PAGES
from pipeline.allocators.components.lazy_areas import DRAIN, LAZY_PAGES
from pipeline.allocators.registry import load_allocator
from pipeline.importing.vmalloc.recording import VmallocRecording, read_recording
from pipeline.io.progress import progress
from pipeline.studies.conformance.agreement import Agreement, Difference
from pipeline.studies.conformance.area_addresses import Addresses, check_space
from pipeline.studies.conformance.area_design import AreaDesign, Purge, check_design
from pipeline.studies.conformance.area_joins import count_joined
from pipeline.studies.conformance.area_notes import (
    ADDRESS,
    ASKED,
    COLLECTED,
    LAZY,
    NOT_COUNTED,
    RANGE,
    RETURNING,
    WIDENED,
    describe_comparison,
    describe_start,
)
from pipeline.studies.conformance.area_schedule import (
    COLLECT,
    COUNT,
    END,
    FREE,
    MAKE_LAZY,
    MAP,
    UNMAP,
    AreaSchedule,
    schedule_all,
)

_PAGE_BYTES = 4096
# Differences kept for each quantity; all are counted.
_KEPT = 1000
_TURNS_AT_ONCE = 1 << 12
# Events among which a free in progress is looked for.
_LATEST = 1000


def verify_areas(
    path: Path, *, allocator: str, options: Mapping[str, str] | None = None, tsc_ghz: float | None = None
) -> Agreement:
    """Replay a recording of vmalloc's areas through a design, in the order in which frees took effect.

    The design must have a field `lazy` in its pool and define `place`. By default, its worker purges and not
    its unmaps, as in all kernels with these events. `tsc_ghz` is the frequency of the clock if times are in
    ticks. Raises InputError for a recording that cannot be read or followed, and UsageError for a design or
    options that do not fit the recording.
    """
    loaded = load_allocator(allocator)
    given = dict(options or {})
    if DRAIN in loaded.options:
        # Every kernel with these events has one.
        given.setdefault(DRAIN.name, "worker")
    check_design(loaded, given, path)
    recording = read_recording(path, tsc_ghz=tsc_ghz)
    result = Agreement(path, loaded.name + "".join(f" {name}={value}" for name, value in given.items()))
    limits = np.unique(recording.limit[recording.limit >= 0])
    follows_cpus = LAZY_PAGES in loaded.options and LAZY_PAGES.name not in given
    if recording.cpus is None and follows_cpus and len(limits) == 1:
        given[LAZY_PAGES.name] = str(limits[0])
        result.notes.append(
            f"the text has no CPU numbers, so {LAZY_PAGES.name} is the kernel's limit ({limits[0]:,})"
        )
    schedules = schedule_all(recording, path)
    result.start = describe_start(schedules[0])
    with progress("verifying", sum(len(schedule.turns) for schedule in schedules), "turns") as advance:
        for schedule in schedules:
            in_use = _find_in_use(recording, schedule)
            addresses = _map_addresses(recording, schedule, in_use)
            pages = addresses.pages + sum(schedule.lazy) + 1
            check_space(pages, int(SPACE_PAGES.maximum or 0), path)
            design = AreaDesign(loaded, given, recording.cpus or 1, pages)
            _Lockstep(recording, schedule, addresses, in_use, design, result).run(advance)
    describe_comparison(recording, schedules, result)
    return result


class _Lockstep:
    """A part of a recording, and the design that follows it."""

    def __init__(
        self,
        recording: VmallocRecording,
        schedule: AreaSchedule,
        addresses: Addresses,
        in_use: list[tuple[int, int]],
        design: AreaDesign,
        result: Agreement,
    ) -> None:
        self.schedule, self.addresses, self.design, self.result = schedule, addresses, design, result
        self.task, self.cpu, self.time_ns = (
            column.tolist() for column in (recording.task, recording.cpu, recording.time_ns)
        )
        # `count` is the counter after a free, or the number of areas of a purge.
        self.page, self.pages, self.count, self.limit = (
            column.tolist() for column in (recording.first, recording.pages, recording.count, recording.limit)
        )
        self.found: list[tuple[int, Difference]] = []
        self.in_use: dict[int, tuple[int, int]] = {}
        # Pages of frees that the kernel has counted and the design has yet to free.
        self.ahead: dict[int, int] = {}
        self.placed_lazy = addresses.pages
        # Pages that the latest purge has returned, and its event once it has ended.
        self.returned, self.ended = 0, -1
        # Frees above the kernel's limit that a purge may have yet to answer, and whether one certainly has;
        # whether the design asked for a purge, and whether the counter caused the latest.
        self.crossings = 0
        self.asked = self.caused = self.open = False
        # First page and length: of the areas freed since the latest collection, and of those it collected.
        self.freed: list[tuple[int, int]] = []
        self.collected: list[tuple[int, int]] = []
        areas = [
            (self.page[k], schedule.order.pages[k]) for kind, k in schedule.turns if kind in (FREE, UNMAP)
        ]
        self.starts, self.ends = {first for first, _ in areas}, {first + length for first, length in areas}
        for first, length in in_use:
            self._place(first, length, 0)

    def run(self, advance: Callable[[int], None]) -> None:
        """Take every turn and compare."""
        take: dict[int, Callable[[int], None]] = {
            MAP: self._map, FREE: self._free, COLLECT: self._collect, END: self._end,
            MAKE_LAZY: self._make_lazy,
            UNMAP: self._unmap_apart, COUNT: self._count_apart,
        }  # fmt: skip
        turns = self.schedule.turns
        for begin in range(0, len(turns), _TURNS_AT_ONCE):
            for kind, k in turns[begin : begin + _TURNS_AT_ONCE]:
                take[kind](k)
            advance(len(turns[begin : begin + _TURNS_AT_ONCE]))
        if self.open:
            self.result.notes.append("the purge that was asked for last is not in the recording")
        self.found.sort(key=lambda difference: difference[0])
        self.result.differences += [difference for _, difference in self.found]

    def _make_lazy(self, number: int) -> None:
        """Make an area of unknown address lazy, above all others."""
        pages = self.schedule.lazy[number]
        self.design.place(self.placed_lazy, pages, 0)
        self.design.unmap(self.placed_lazy, pages, 0)
        self.placed_lazy += pages

    def _place(self, page: int, pages: int, cpu: int) -> bool:
        slot = self.addresses.slot_of(page)
        free = self.design.place(slot, pages, cpu)
        if not free and self.design.purging:
            # The kernel returns addresses before it has subtracted their pages.
            self.returned += self.design.return_pages()
            free = self.design.place(slot, pages, cpu)
        if free:
            self.in_use[page] = slot, pages
        return free

    def _map(self, k: int) -> None:
        self.result.compared[ADDRESS] += 1
        if not self._place(self.page[k], self.pages[k], max(self.cpu[k], 0)):
            self._differ(k, ADDRESS, f"maps {_address(self.page[k])}", "has an area there")

    def _free(self, k: int) -> None:
        """Free an area; compare the counter, and whether a purge is asked for."""
        self.ahead.pop(k, None)
        before = self.count[k] - self.schedule.order.pages[k] - sum(self.ahead.values())
        self.returned += self.design.return_pages(before)
        if (asked := self._unmap(k)) is not None:
            self._count(k, asked)

    def _unmap(self, k: int) -> bool | None:
        """Free an area in the design; return whether it asked for a purge, None if the area is not there."""
        page, pages, cpu = self.page[k], self.schedule.order.pages[k], max(self.cpu[k], 0)
        if page not in self.in_use and not self._place(page, pages, cpu):
            self._differ(k, ADDRESS, f"unmaps {_address(page)}", "has another area there")
            return None
        asked, purge = self.design.unmap(*self.in_use.pop(page), cpu)
        self.freed.append((page, pages))
        if purge.areas:
            self._differ(k, COLLECTED, "none by an unmap", f"{purge.areas:,} by the unmap")
        return asked

    def _count_apart(self, k: int) -> None:
        """Compare the counter at the free of an area that the design frees after a purge has collected."""
        self.ahead[k] = self.schedule.order.pages[k]
        self._count(k, self.count[k] > self.limit[k])

    def _unmap_apart(self, k: int) -> None:
        """Free an area whose free was counted before."""
        del self.ahead[k]
        self._unmap(k)

    def _count(self, k: int, asked: bool) -> None:
        """Compare the counter after a free, and whether a purge was asked for."""
        lazy = self.design.lazy + sum(self.ahead.values())
        self._find_ahead(k, self.count[k] - lazy)
        lazy = self.design.lazy + sum(self.ahead.values())
        crosses = self.count[k] > self.limit[k]
        # Whether the free was counted before the latest purge ended, as far as the recording shows.
        during = self.ended < 0 or self.schedule.order.earlier[k] < self.ended
        if during and lazy < self.count[k] <= lazy + self.returned:
            self.result.compared[RETURNING] += 1
            asked = crosses
        elif k not in self.schedule.order.length_derived:
            self.result.compared[LAZY] += 1
            if lazy != self.count[k]:
                self._differ(k, LAZY, f"{self.count[k]:,}", f"{lazy:,}")
        self.crossings += crosses
        self.open |= crosses
        self.asked |= asked
        self.result.compared[ASKED] += 1
        if crosses != asked:
            self._differ(k, ASKED, *("yes" if ask else "no" for ask in (crosses, asked)))

    def _find_ahead(self, k: int, pages: int) -> None:
        """Find a free of `pages` pages, recorded later, that was in progress when the latest purge ended.

        It was counted while that purge returned its pages, so the counter does not show its place.
        """
        if pages <= 0 or self.ended < 0:
            return
        order = self.schedule.order
        for later in range(k + 1, min(k + _LATEST, len(self.task))):
            there = order.pages.get(later) == pages and later not in self.ahead
            if there and order.earlier[later] < self.ended and self.page[later] in self.in_use:
                self.ahead[later] = pages
                order.moved += 1
                return

    def _collect(self, k: int) -> None:
        """Let the design's worker collect the lazy areas for the purge of event `k`."""
        self.caused = self.crossings > 0
        if not self.caused:
            self.result.compared[NOT_COUNTED] += 1
        elif not self.asked and self.design.has_worker:
            self._differ(k, ASKED, "purges", "has not asked for a purge")
        # The worker may have begun before the last of several crossings, which then asked for another purge.
        self.crossings = min(max(self.crossings - 1, 0), 1)
        self.asked &= self.crossings > 0
        self.open = False
        self.returned, self.ended = 0, -1
        self.freed, self.collected = [], self.freed
        if self.design.has_worker:
            self.design.collect()

    def _end(self, k: int) -> None:
        """Complete the purge of event `k`, and compare what it collected and flushed."""
        self.returned += self.design.return_pages()
        self.ended = k
        purge = self.design.purge
        if k not in self.schedule.number_derived:
            self.result.compared[COLLECTED] += 1
            areas = purge.areas - self._joined()
            if areas != self.count[k]:
                self._differ(k, COLLECTED, f"{self.count[k]:,}", f"{areas:,}")
        if k not in self.schedule.range_unknown:
            self.result.compared[RANGE] += 1
            self._compare_range(k, purge)

    def _joined(self) -> int:
        """By how much a kernel that joins areas counts fewer than were collected."""
        if not self.schedule.joins:
            return 0
        areas = np.array(self.collected, np.int64).reshape(-1, 2)
        return len(areas) - count_joined(areas[:, 0], areas[:, 1])

    def _compare_range(self, k: int, purge: Purge) -> None:
        """Compare the range that the purge of event `k` flushed with the design's."""
        first, end = self.page[k], self.page[k] + self.pages[k]
        here = there = 0
        if purge.slots > 0:
            here = self.addresses.page_of(purge.first)
            there = self.addresses.page_of(purge.first + purge.slots - 1) + 1
        kernel = _describe_range(first, end, self.count[k])
        design = _describe_range(here, there, purge.areas)
        if kernel == design:
            return
        by_caller = (first == here or first not in self.starts) and (end == there or end not in self.ends)
        if first <= here < there <= end and by_caller:
            self.result.compared[WIDENED] += 1
        else:
            self._differ(k, RANGE, kernel, design)

    def _differ(self, k: int, what: str, kernel: str, allocator: str) -> None:
        self.result.differing[what] += 1
        if self.result.differing[what] <= _KEPT:
            self.found.append((k, Difference(k, self.task[k], what, kernel, allocator, self.time_ns[k])))


def _address(page: int) -> str:
    return f"{page * _PAGE_BYTES:#x}"


def _describe_range(first: int, end: int, areas: int) -> str:
    if not areas:
        return "nothing"
    return f"{_address(first)} to {_address(end)}" if first < end else "no range"


def _find_in_use(recording: VmallocRecording, schedule: AreaSchedule) -> list[tuple[int, int]]:
    """First page and length of the areas in use at the beginning of a part that its turns free or map over.

    A recording of many parts would otherwise map all areas in use again for each of them.
    """
    turns = schedule.turns
    freed = set(recording.first[[k for kind, k in turns if kind in (FREE, UNMAP)]].tolist())
    maps = np.array([k for kind, k in turns if kind == MAP], np.int64)
    begin = recording.first[maps].astype(np.int64)
    order = np.argsort(begin)
    begin, end = begin[order], np.maximum.accumulate((begin + recording.pages[maps])[order])
    found = []
    for first, length in schedule.order.mapped.items():
        before = int(np.searchsorted(begin, first + length))
        if first in freed or (before and end[before - 1] > first):
            found.append((first, length))
    return found


def _map_addresses(
    recording: VmallocRecording, schedule: AreaSchedule, in_use: list[tuple[int, int]]
) -> Addresses:
    """Translate the addresses of all areas of a part."""
    page, pages = recording.first.tolist(), recording.pages.tolist()
    there = list(in_use)
    there += [(page[k], pages[k]) for kind, k in schedule.turns if kind == MAP]
    there += [(page[k], schedule.order.pages[k]) for kind, k in schedule.turns if kind in (FREE, UNMAP)]
    return Addresses(*np.array(there, np.int64).reshape(-1, 2).T)
