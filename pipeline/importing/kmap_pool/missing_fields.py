"""Infer fields that events of the kernel's pool lack from other events of the recording.

The fields that a probe can read depend on the kernel's build. For example, if the compiler keeps the page of
an unmap in no register, only the slot identifies the page. Three rules infer fields:

- When a task requests a page, sleeps for a slot, continues and maps the page, all these events are of the
  same page.
- A page stays in its slot from the event that took the slot until a scan evicts the page: an *occupancy*. All
  maps and unmaps in between have the same page and slot, and each changes the use count by one.
- A scan evicts in the order of the slots, and the following sweep of the cursor takes the cleaned slots in
  the same order. A page that was evicted from an unknown slot was therefore in the slot taken in its turn.

An unmap with neither page nor slot is assumed to belong to its task's latest mapping.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.importing.kmap_pool.events import (
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
    split_at_gaps,
)

_PAGE_BITS = 12
# Pools are aligned to the memory that one entry of the upper page table maps: 2 MiB, or 4 MiB without PAE.
_POOL_ALIGNMENT = 1 << 21
# Numbers for unidentified pages count down from here; they cannot collide with addresses.
_FIRST_INVENTED = -2


def fill_missing(events: PoolEvents) -> PoolEvents:
    """Fill in fields that can be inferred from other events; all others stay NONE.

    `page_told`, `slot_told` and `count_told` of the result mark the fields that the events themselves
    contain. A mapped address gives the slot. Unidentified pages get numbers below NONE, one per occupancy.
    If no new addresses of pages were recorded, a slot counts as taken when it has another page than before.
    """
    events = replace(
        events,
        page=events.page.copy(),
        vaddr=events.vaddr.copy(),
        slot=events.slot.copy(),
        count=events.count.copy(),
    )
    parts = split_at_gaps(events)
    for part in parts:
        _find_evictions(part)
    _find_slots(events, parts)
    events = replace(
        events,
        page_told=events.page != NONE,
        slot_told=events.slot != NONE,
        count_told=events.count != NONE,
        took=np.zeros(len(events.code), np.bool_),
        unrecorded=_find_unrecorded(events),
    )
    for part in split_at_gaps(events):
        part.took[_take_positions(part)[1]] = True
    ends = np.isin(events.code, [MAPPED, UNMAPPED])
    lacks = ends & ~(events.page_told & events.slot_told & events.count_told)
    lacks |= (np.isin(events.code, [ENTER, SLEEP, WOKEN, PAGE_ADDRESS])) & ~events.page_told
    if lacks.any() or PAGE_ADDRESS in events.unrecorded:
        invented = _FIRST_INVENTED
        _name_pages_of_requests(events)
        for part in split_at_gaps(events):
            invented = _Occupancies(part).fill(invented)
        _name_pages_of_requests(events)
    return events


def _find_unrecorded(events: PoolEvents) -> frozenset[int]:
    """Return the kinds of events that must have occurred but are not in the recording."""
    there = set(np.unique(events.code).tolist())
    evicts = bool(events.evicts().any())
    taken = _slots_change_hands(events)
    must = {
        ENTER: MAPPED in there,
        PAGE_ADDRESS: taken,
        SCAN: evicts or FLUSH in there or (taken and PAGE_ADDRESS not in there),
        FLUSH: evicts or (SCAN in there and PAGE_ADDRESS not in there),
        SLEEP: WOKEN in there,
        WOKEN: SLEEP in there and bool(events.follows(SLEEP).any()),
    }
    return frozenset(code for code, happened in must.items() if happened and code not in there)


def _slots_change_hands(events: PoolEvents) -> bool:
    """Return whether maps show two pages in a slot or a page in two slots, or follow a scan directly."""
    maps = events.code == MAPPED
    told = maps & (events.page != NONE) & (events.slot != NONE)
    pairs = np.unique(np.stack([events.page[told], events.slot[told]]), axis=1)
    twice = any(len(np.unique(row)) < pairs.shape[1] for row in pairs)
    return twice or bool((maps & (events.follows(SCAN) | events.follows(FLUSH))).any())


def _take_positions(events: PoolEvents) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of events that gave a page its slot's address, and of the corresponding maps."""
    locked = np.flatnonzero(events.code != ENTER)
    by_task = locked[np.argsort(events.pid[locked], kind="stable")]
    here, after = by_task[:-1], by_task[1:]
    pairs = (
        (events.code[here] == PAGE_ADDRESS)
        & (events.code[after] == MAPPED)
        & (events.pid[here] == events.pid[after])
        & (events.vaddr[here] != 0)
    )
    return here[pairs], after[pairs]


def _find_evictions(events: PoolEvents) -> None:
    """Set an unrecorded new address of a page to 0 (evicted), unless the page is mapped next."""
    lacking = (events.code == PAGE_ADDRESS) & (events.vaddr == NONE)
    if lacking.any():
        taken, _ = _take_positions(events)
        lacking[taken] = False
        events.vaddr[lacking] = 0


def _find_slots(events: PoolEvents, parts: list[PoolEvents]) -> None:
    """Compute slots that were not recorded from the mapped address."""
    shows = np.isin(events.code, [MAPPED, PAGE_ADDRESS]) & (events.vaddr > 0)
    both = np.flatnonzero(shows & (events.slot != NONE))
    lacking = shows & (events.slot == NONE)
    if not lacking.any():
        return
    if len(both):
        base = int(events.vaddr[both[0]]) - (int(events.slot[both[0]]) << _PAGE_BITS)
    else:
        base = int(events.vaddr[shows].min()) // _POOL_ALIGNMENT * _POOL_ALIGNMENT
    events.slot[lacking] = (events.vaddr[lacking] - base) >> _PAGE_BITS
    for part in parts:
        taken, mapped = _take_positions(part)
        unknown = part.slot[mapped] == NONE
        part.slot[mapped[unknown]] = part.slot[taken[unknown]]


def _name_pages_of_requests(events: PoolEvents) -> None:
    """Give all events of a request, from ENTER to MAPPED, the page that one of them contains."""
    code, pid = events.code, events.pid
    own = np.flatnonzero(np.isin(code, [ENTER, SLEEP, WOKEN, MAPPED]) | _takes_slot(events))
    by_task = own[np.argsort(pid[own], kind="stable")]
    if not len(by_task):
        return
    begins = np.ones(len(by_task), np.bool_)
    begins[1:] = (
        (pid[by_task[1:]] != pid[by_task[:-1]])
        | (code[by_task[1:]] == ENTER)
        | (code[by_task[:-1]] == MAPPED)
    )
    request = np.cumsum(begins) - 1
    told = events.page[by_task] != NONE
    requests, first = np.unique(request[told], return_index=True)
    page = np.full(request[-1] + 1, NONE)
    page[requests] = events.page[by_task[told]][first]
    events.page[by_task[~told]] = page[request[~told]]


def _takes_slot(events: PoolEvents) -> np.ndarray:
    return (events.code == PAGE_ADDRESS) & (events.vaddr != 0)


@dataclass
class _Occupancy:
    """The time of a page in a slot, from when it took the slot until its eviction; NONE if unknown.

    taken: False if the page was in the slot when the recording began.
    at: positions of the maps and unmaps.
    evicted_at: position of the eviction.
    count: use count after the latest map or unmap.
    scans: number of scans in the recording before that event.
    """

    page: int
    slot: int
    taken: bool
    at: list[int] = field(default_factory=list)
    evicted_at: int = NONE
    count: int = NONE
    scans: int = 0


class _Occupancies:
    """All occupancies in a part of a recording without lost events."""

    def __init__(self, events: PoolEvents) -> None:
        self.events = events
        self.every: list[_Occupancy] = []
        self.in_slot: dict[int, _Occupancy] = {}
        self.of_page: dict[int, _Occupancy] = {}
        self.freed: list[_Occupancy] = []  # by the latest scan, in order
        self.taken: list[tuple[int, _Occupancy | None]] = []  # slots since, with their previous occupancy
        self.scans = 0
        self._follow()

    def _follow(self) -> None:
        e = self.events
        evicts = e.evicts()
        scans = _scan_begins(e, evicts)
        followed = np.flatnonzero(np.isin(e.code, [MAPPED, UNMAPPED]) | evicts | scans)
        held: dict[int, list[_Occupancy]] = defaultdict(list)
        columns = (e.code, e.pid, e.page, e.slot, e.took, evicts, scans)
        for position, code, pid, page, slot, takes, evicted, scan in zip(
            followed.tolist(), *(column[followed].tolist() for column in columns), strict=True
        ):
            if scan:
                self._end_sweep(whole=True)
                self.scans += 1
            if evicted:
                self._evict(position, page)
            elif code == MAPPED:
                there = None if takes else self._find(page, slot)
                if there is None:
                    there = self._begin(page, slot, takes or self._takes_unseen(position))
                    e.took[position] = there.taken
                self._learn(there, position, page, slot)
                held[pid].append(there)
            elif code == UNMAPPED:
                own = held[pid]
                there = self._find(page, slot)
                if there is None and page == slot == NONE:
                    if not own:
                        continue
                    there = own[-1]
                there = there or self._begin(page, slot, taken=False)
                self._learn(there, position, page, slot)
                if there in own:
                    own.remove(there)
        self._end_sweep(whole=False)

    def _takes_unseen(self, position: int) -> bool:
        """Return whether a map of a new page takes a slot without an event for it."""
        return PAGE_ADDRESS in self.events.unrecorded and int(self.events.count[position]) in (2, NONE)

    def _begin(self, page: int, slot: int, taken: bool) -> _Occupancy:
        begun = _Occupancy(page, slot, taken, count=1 if taken else NONE)
        self.every.append(begun)
        if taken:
            self.taken.append((slot, self.in_slot.pop(slot, None)))
        return begun

    def _find(self, page: int, slot: int) -> _Occupancy | None:
        there = self.in_slot.get(slot) if slot != NONE else None
        there = there or self.of_page.get(page)
        if there is None or (there.page != page and NONE not in (there.page, page)):
            return None
        if PAGE_ADDRESS in self.events.unrecorded and there.count == 1 and self.scans > there.scans:
            return None  # evicted without an event: a scan evicts unused pages
        return there

    def _learn(self, there: _Occupancy, position: int, page: int, slot: int) -> None:
        there.at.append(position)
        there.scans = self.scans
        told = int(self.events.count[position])
        if told != NONE:
            there.count = told
        elif there.count != NONE:
            there.count += 1 if self.events.code[position] == MAPPED else -1
        if there.page == NONE:
            there.page = page
        if there.slot == NONE:
            there.slot = slot
        if there.page != NONE:
            self.of_page[there.page] = there
        if there.slot != NONE:
            self.in_slot[there.slot] = there

    def _evict(self, position: int, page: int) -> None:
        there = self.of_page.pop(page, None) if page != NONE else None
        there = there or self._begin(page, NONE, taken=False)
        there.evicted_at = position
        self.freed.append(there)

    def _end_sweep(self, whole: bool) -> None:
        """Match the pages that the latest scan freed with the slots taken since, if either is unknown."""
        known = {there.slot: k for k, there in enumerate(self.freed) if there.slot != NONE}
        low = 0
        run: list[tuple[int, _Occupancy | None]] = []
        for slot, before in self.taken:
            if slot in known:
                self._match(self.freed[low : known[slot]], run, exactly=True)
                low, run = known[slot] + 1, []
            else:
                run.append((slot, before))
        self._match(self.freed[low:], run, exactly=whole)
        self.freed, self.taken = [], []

    def _match(
        self, freed: list[_Occupancy], slots: list[tuple[int, _Occupancy | None]], exactly: bool
    ) -> None:
        if len(freed) != len(slots) and (exactly or len(freed) < len(slots)):
            return
        for there, (slot, before) in zip(freed, slots, strict=False):
            if before is None:
                there.slot = slot
            elif there is not before:
                # Join the halves of an occupancy: the maps and unmaps, and the eviction of the page.
                there.at, there.slot = before.at + there.at, slot
                there.page = before.page if there.page == NONE else there.page
                there.taken = before.taken
                before.at = []

    def fill(self, invented: int) -> int:
        """Write the inferred fields into the events; return the next number for an unidentified page."""
        e = self.events
        self._place_the_rest()
        for there in self.every:
            if not there.at and there.evicted_at == NONE:
                continue
            if there.page == NONE and there.at and there.slot != NONE:
                there.page, invented = invented, invented - 1
            at = np.array(there.at, np.int64)
            for column, value in ((e.page, there.page), (e.slot, there.slot)):
                column[at[column[at] == NONE]] = value
            if there.evicted_at != NONE and e.page[there.evicted_at] == NONE:
                e.page[there.evicted_at] = there.page
            if (e.count[at] == NONE).any():
                self._fill_counts(there, at)
        return invented

    def _place_the_rest(self) -> None:
        """Assign free slots to pages from before the recording with slots that were not taken since.

        No recorded event depends on the choice.
        """
        lost = [there for there in self.every if there.slot == NONE and there.at]
        used = {there.slot for there in self.every}
        free = [slot for slot in range(max(used, default=NONE) + 1) if slot not in used]
        lost.sort(key=lambda there: there.evicted_at)
        for there, slot in zip(lost, free, strict=False):
            there.slot = slot

    def _fill_counts(self, there: _Occupancy, at: np.ndarray) -> None:
        count = self.events.count
        after = np.cumsum(np.where(self.events.code[at] == MAPPED, 1, -1))
        told = np.flatnonzero(count[at] != NONE)
        # The latest known count is the most reliable: unidentified unmaps are at the start of a recording.
        if there.taken:
            before = 1
        elif there.evicted_at != NONE:
            before = 1 - int(after[-1])
        elif len(told):
            before = int(count[at[told[-1]]] - after[told[-1]])
        else:
            # The smallest possible count: it never falls below 1, and a scan evicts a page with count 1.
            before = max(1 - int(after.min()), 2 - int(after[-1]) if self.scans > there.scans else 1)
        lacking = count[at] == NONE
        count[at[lacking]] = (before + after)[lacking]


def _scan_begins(events: PoolEvents, evicts: np.ndarray) -> np.ndarray:
    """Return where scans begin; if scans were not recorded, at their first eviction, or at their flush."""
    scans = events.code == SCAN
    if SCAN in events.unrecorded and PAGE_ADDRESS in events.unrecorded:
        return events.code == FLUSH
    if SCAN in events.unrecorded:
        locked = np.flatnonzero(events.code != ENTER)
        first = evicts[locked]
        first[1:] &= ~(evicts[locked[:-1]] & (events.pid[locked[1:]] == events.pid[locked[:-1]]))
        scans = np.zeros(len(events.code), np.bool_)
        scans[locked[first]] = True
    return scans
