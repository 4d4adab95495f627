"""Infer the state of the kernel's pool at the start of a recording from later events.

The first event of a slot gives its state at the start, because only a scan changes a slot without an event:

- The first event is an unmap that leaves count n: the slot had count n + 1 and this page.
- The first event is a hit that gives count n: the slot had count n - 1 and this page.
- The first event takes the slot: it was clean, or had an unused page that the first scan evicted.
- The slot has no event: if the cursor passes it, it is not clean. If the cursor passes it after a scan, it
  is in use throughout.

Pages that the first scan evicts and that have no earlier event were in slots of the last two cases. A scan
proceeds by slot number, so these slots are between the slots of the known pages evicted before and after.
A slot that the cursor passed before that scan and that was taken after it must have had such a page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.importing.kmap_pool.events import NONE
from pipeline.importing.kmap_pool.lock_schedule import FLUSHES, MAPS, SLEEPS, UNMAPS, LockSchedule

_UNUSED = 1
_IN_USE = 2


@dataclass(frozen=True)
class PoolState:
    """Use count and page (index into LockSchedule.pages, or NONE) of each slot, and the cursor position."""

    count: np.ndarray
    page: np.ndarray
    cursor: int

    @property
    def adopted(self) -> int:
        """Return the number of slots that were not clean."""
        return int((self.count > 0).sum())


def fresh_pool(slots: int) -> PoolState:
    """Return an unused pool."""
    return PoolState(np.zeros(slots, np.int64), np.full(slots, NONE, np.int64), 0)


def infer_initial_state(schedule: LockSchedule, slots: int) -> PoolState:
    """Infer the pool's state before the first hold of its lock."""
    state = fresh_pool(slots)
    count, page = state.count, state.page
    never = len(schedule.kind)
    seen = np.flatnonzero(np.isin(schedule.kind, [MAPS, UNMAPS]) & (schedule.slot != NONE))
    seen_slots, firsts = np.unique(schedule.slot[seen], return_index=True)
    first = np.full(slots, never)
    first[seen_slots] = seen[firsts]
    known = seen_slots[~schedule.takes[seen[firsts]]]
    shown_by = first[known]
    count[known] = schedule.count[shown_by] + np.where(schedule.kind[shown_by] == UNMAPS, 1, -1)
    page[known] = schedule.page[shown_by]

    scans = np.flatnonzero(schedule.scans > 0)
    first_scan = int(scans[0]) if len(scans) else never
    cursor, passed_before, passed_after = _follow_cursor(schedule, slots, first_scan)
    if first_scan < never:
        slot_of = {
            int(page[slot]): slot for slot in np.flatnonzero(count).tolist() if first[slot] < first_scan
        }
        before = np.flatnonzero(schedule.takes[:first_scan] & (schedule.kind[:first_scan] == MAPS))
        slot_of |= dict(zip(schedule.page[before].tolist(), schedule.slot[before].tolist(), strict=True))
        # Rank the slots by how likely they had an unused page: lower is more likely.
        unseen = (first >= first_scan) & (count == 0)
        doubt = np.select(
            [~unseen | (passed_after & (first == never)), first < never, passed_before],
            [9, np.where(passed_before, 0, 1), 2],
            3,
        )
        evicted = schedule.evicted_by(first_scan)
        nameless = schedule.pages[evicted] == NONE
        if nameless.any():
            # Some of these pages were in slots that are known to be unused at that time.
            named = _count_unused(schedule, state, first_scan) - int((~nameless).sum())
            evicted = np.delete(evicted, np.flatnonzero(nameless)[: max(named, 0)])
        _place_evicted(evicted.tolist(), slot_of, doubt, state)
    in_use = (first == never) & (count == 0) & (passed_before | passed_after)
    count[in_use] = _IN_USE
    return PoolState(count, page, cursor)


def _count_unused(schedule: LockSchedule, state: PoolState, first_scan: int) -> int:
    """Return how many slots with an event before the first scan are unused when it runs."""
    count = state.count.copy()
    before = np.flatnonzero((schedule.slot[:first_scan] != NONE) & (schedule.kind[:first_scan] != SLEEPS))
    slots = schedule.slot[before]
    taken = slots[schedule.takes[before]]
    count[taken] = 1
    np.add.at(count, slots, np.where(schedule.kind[before] == UNMAPS, -1, 1))
    return int((count == 1).sum())


def _follow_cursor(schedule: LockSchedule, slots: int, first_scan: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the cursor's initial position and the slots that it passed before and after the first scan.

    A search that scans has reached the end of the pool and restarted. If it then sleeps, it has examined
    every slot.
    """
    before = np.zeros(slots, np.bool_)
    after = np.zeros(slots, np.bool_)
    searches = np.flatnonzero((schedule.kind == SLEEPS) | ((schedule.kind == MAPS) & schedule.takes))
    if not len(searches):
        return 0, before, after
    opening = int(searches[0])
    cursor = slots - 1 if schedule.scans[opening] else int(schedule.slot[opening] - 1) % slots
    at, side = cursor, before
    rounds = -1 if first_scan < len(schedule.kind) and schedule.kind[first_scan] == FLUSHES else 0
    for k in searches.tolist():
        if k > first_scan and schedule.scans[k]:
            rounds += 1
            if rounds == 1:
                after[:] = True
                break
        sleeps = schedule.kind[k] == SLEEPS
        side = before if k <= first_scan else after
        if schedule.scans[k]:
            side[at + 1 :] = True
            at = -1
            side = after
        to = slots if sleeps else int(schedule.slot[k])
        side[at + 1 : to] = True
        at = slots - 1 if sleeps else to
    return cursor, before, after


def _place_evicted(evicted: list[int], slot_of: dict[int, int], doubt: np.ndarray, state: PoolState) -> None:
    """Assign slots to the pages that the first scan evicted and that have no known slot, in order."""
    run: list[int] = []
    low = 0
    for page in evicted:
        if page in slot_of:
            _place(run, low, slot_of[page], doubt, state)
            run = []
            low = slot_of[page] + 1
        else:
            run.append(page)
    _place(run, low, len(state.count), doubt, state)


def _place(run: list[int], low: int, high: int, doubt: np.ndarray, state: PoolState) -> None:
    """Put the pages of `run`, in order, into the most likely slots in [low, high)."""
    if not run:
        return
    likeliest = low + np.argsort(doubt[low:high], kind="stable")
    chosen = sorted(slot for slot in likeliest[: len(run)].tolist() if doubt[slot] < 9)
    for page, slot in zip(run, chosen, strict=False):
        state.count[slot] = _UNUSED
        state.page[slot] = page
