"""What the kernel's pool held when a recording began, worked out from what the recording shows of it later.

A slot's first event tells its state at the start, because nothing changes a slot without an event:

- first unmapped, leaving count n: it had n + 1, with that page;
- first hit, giving count n: it had n - 1, with that page;
- first allocated: it was clean, or held a page that nobody used and that the first scan evicted. Pages that
  were never seen before and are evicted by the first scan were in such slots. A scan goes by slot number, so
  they lie between the slots of the known pages evicted before and after them; slots that the cursor passed
  over without taking them come first;
- never seen: somebody uses it throughout (if the cursor ever passes it, it is not clean).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.verify.recording import MAPPED, NONE, PAGE_ADDRESS, SCAN, UNMAPPED, PoolEvents

_UNUSED = 1
_IN_USE = 2


@dataclass(frozen=True)
class PoolState:
    """Use count and page (struct page address, NONE) of each slot, and the cursor; see global_pool."""

    count: np.ndarray
    page: np.ndarray
    cursor: int

    @property
    def adopted(self) -> int:
        """Slots that were not clean."""
        return int((self.count > 0).sum())


def fresh_pool(slots: int) -> PoolState:
    """A pool that nobody has used yet."""
    return PoolState(np.zeros(slots, np.int64), np.full(slots, NONE, np.int64), 0)


def pool_at_start(events: PoolEvents, slots: int) -> PoolState:
    """Work out the pool's state before the first event of the recording."""
    state = fresh_pool(slots)
    count, page = state.count, state.page
    taking = allocations(events)
    if not len(taking):
        return state
    first_slot = int(events.slot[taking[0]])
    allocated = set(taking.tolist())
    seen: set[int] = set()
    for row in np.flatnonzero(np.isin(events.code, [MAPPED, UNMAPPED])).tolist():
        slot = int(events.slot[row])
        if slot in seen:
            continue
        seen.add(slot)
        if row in allocated:
            continue
        count[slot] = events.count[row] + (1 if events.code[row] == UNMAPPED else -1)
        page[slot] = events.page[row]
    cursor = (first_slot - 1) % slots
    _place_evicted(events, taking, state, cursor)
    # A pool of which every slot has been seen, or whose cursor has not come round, has no such slots.
    if _scans(events).size and (cursor > 0 or state.adopted):
        never = [slot for slot in range(slots) if slot not in seen and count[slot] == 0]
        count[never] = _IN_USE
    return PoolState(count, page, cursor)


def allocations(events: PoolEvents) -> np.ndarray:
    """Find the misses: rows of the "mapped" events whose task set the page's address just before."""
    fresh: dict[int, int] = {}
    rows = []
    codes, pids, vaddr = events.code, events.pid, events.vaddr
    for row in np.flatnonzero(np.isin(codes, [PAGE_ADDRESS, MAPPED])).tolist():
        pid = int(pids[row])
        if codes[row] == PAGE_ADDRESS:
            if vaddr[row] != 0:
                fresh[pid] = int(events.page[row])
        elif fresh.pop(pid, None) == events.page[row]:
            rows.append(row)
    return np.array(rows, np.int64)


def _scans(events: PoolEvents) -> np.ndarray:
    return np.flatnonzero(events.code == SCAN)


def _place_evicted(events: PoolEvents, taking: np.ndarray, state: PoolState, cursor: int) -> None:
    """Give the unknown pages that the first scan evicted their slots."""
    scans = _scans(events)
    if not scans.size:
        return
    first_scan = int(scans[0])
    pid = events.pid[first_scan]
    slot_of = {int(events.page[row]): int(events.slot[row]) for row in taking[taking < first_scan]}
    slot_of |= {int(page): slot for slot, page in enumerate(state.page.tolist()) if page != NONE}
    taken = {int(events.slot[row]) for row in taking[taking < first_scan]}
    passed = set(range(cursor + 1, len(state.count))) - taken
    run: list[int] = []
    low = 0
    for row in range(first_scan + 1, len(events.code)):
        if events.pid[row] != pid:
            continue
        if events.code[row] != PAGE_ADDRESS or events.vaddr[row] != 0:
            break
        page = int(events.page[row])
        if page in slot_of:
            _place(run, low, slot_of[page], taken, passed, state)
            run = []
            low = slot_of[page] + 1
        else:
            run.append(page)
    _place(run, low, len(state.count), taken, passed, state)


def _place(run: list[int], low: int, high: int, taken: set[int], passed: set[int], state: PoolState) -> None:
    """Put the pages of `run`, in order, into free slots from `low` up to but not including `high`."""
    free = [slot for slot in range(low, high) if slot not in taken and state.count[slot] == 0]
    sure = [slot for slot in free if slot in passed]
    others = [slot for slot in free if slot not in passed]
    chosen = sorted((sure + others)[: len(run)])
    for page, slot in zip(run, chosen, strict=False):
        state.count[slot] = _UNUSED
        state.page[slot] = page
