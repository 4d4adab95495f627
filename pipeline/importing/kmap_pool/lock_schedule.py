"""The lock schedule of a recording of the kernel's pool: what each task did while it held the pool's lock.

A hold begins when a task gets the lock and ends when its page is mapped or unmapped, or when the task is
about to sleep. The kernel also scans outside of mappings: it flushes the pool's unused mappings when it
changes the attributes of pages, for example of a module's code (`kmap_flush_unused`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.importing.kmap_pool import events as ev

# Kinds of holds. A BROKEN hold began before the recording, or has no recorded end.
MAPS, UNMAPS, SLEEPS, FLUSHES, BROKEN = range(5)


@dataclass(frozen=True)
class LockSchedule:
    """Arrays with one entry per hold, in lock order; see PoolEvents for fields of the same name.

    kind: MAPS, UNMAPS, SLEEPS or FLUSHES.
    seq: number of the hold's last event.
    page: index into `pages`.
    takes: whether the hold took a new slot.
    scans, flushes: number of scans and flushes in the hold.
    woken: whether the hold began with a wake-up.
    late: whether a wake-up by an earlier unmap may have been in progress at the end of the hold.
    evicted, evicted_from: hold k evicted the pages evicted[evicted_from[k] : evicted_from[k + 1]].
    slot_told, count_told, evicted_told: whether the recording contains the slot, the count and each evicted
        page; otherwise they are inferred.
    passed_over: number of holds skipped at the start, up to the last unmap of an unknown mapping.
    cut_off: number of holds that are incomplete because they are at the start or end of the recording.
    broken: descriptions of all other incomplete holds.
    """

    pages: np.ndarray
    kind: np.ndarray
    seq: np.ndarray
    pid: np.ndarray
    cpu: np.ndarray
    page: np.ndarray
    slot: np.ndarray
    count: np.ndarray
    takes: np.ndarray
    scans: np.ndarray
    flushes: np.ndarray
    woken: np.ndarray
    late: np.ndarray
    evicted: np.ndarray
    evicted_from: np.ndarray
    slot_told: np.ndarray
    count_told: np.ndarray
    evicted_told: np.ndarray
    unrecorded: frozenset[int]
    passed_over: int
    cut_off: int
    broken: list[str]

    def evicted_by(self, k: int, of: np.ndarray | None = None) -> np.ndarray:
        """Return the pages that hold k evicted, in order, or the entries of `of` for these pages."""
        return (self.evicted if of is None else of)[self.evicted_from[k] : self.evicted_from[k + 1]]


def schedule_holds(events: ev.PoolEvents) -> LockSchedule:
    """Group a recording's events by the hold of the lock in which they occurred.

    An incomplete first or last hold is omitted. If an unmap of a mapping from before the recording has
    neither page nor slot, the schedule begins after the last such unmap.
    """
    pages, page = np.unique(events.page, return_inverse=True)
    locked = np.flatnonzero(events.code != ev.ENTER)
    code, pid, evicts = events.code[locked], events.pid[locked], events.evicts()[locked]
    # A hold begins after the end of the previous one, with another task, or with an event that comes first.
    begins = np.ones(len(locked), np.bool_)
    begins[1:] = (
        np.isin(code[:-1], [ev.MAPPED, ev.UNMAPPED, ev.SLEEP])
        | (pid[1:] != pid[:-1])
        | np.isin(code[1:], [ev.WOKEN, ev.UNMAPPED])
        | ((code[1:] == ev.SCAN) & (code[:-1] != ev.WOKEN))
        | (evicts[1:] & ~evicts[:-1] & ~np.isin(code[:-1], [ev.SCAN, ev.WOKEN]))
        | events.follows(ev.ENTER)[locked][1:]
    )
    first = np.flatnonzero(begins)
    last = np.append(first, len(locked))[1:] - 1
    end = locked[last]
    number = np.cumsum(begins) - 1

    def events_of(which: np.ndarray) -> np.ndarray:
        return np.bincount(number[which], minlength=len(first))

    kind = np.full(len(first), BROKEN)
    for ending, name in ((ev.MAPPED, MAPS), (ev.UNMAPPED, UNMAPS), (ev.SLEEP, SLEEPS)):
        kind[code[last] == ending] = name
    scan_shows = np.select(
        [ev.SCAN not in events.unrecorded, ev.PAGE_ADDRESS not in events.unrecorded],
        [code == ev.SCAN, evicts],
        code == ev.FLUSH,
    )
    scans_first = scan_shows[first]
    sleeps = (kind == BROKEN) & (scans_first | (code[first] == ev.WOKEN))
    sleeps &= _goes_on(events)[end]
    kind[(kind == BROKEN) & scans_first] = FLUSHES
    kind[sleeps] = SLEEPS
    kind[((code[first] == ev.FLUSH) | evicts[first]) & ~scans_first] = BROKEN
    takes = events_of(events.took[locked]) > 0
    scans = events_of(scan_shows)
    if ev.SCAN in events.unrecorded:
        scans = np.minimum(scans, 1)
    if (
        len(first)
        and not scans_first[0]
        and (kind[0] == SLEEPS or (takes[0] and events.slot[locked[last[0]]] == 0))
    ):
        # A search scans before it sleeps or takes slot 0, so the recording began after that scan.
        kind[0] = BROKEN
    # The last hold may continue after the recording's end.
    whole = np.ones(len(first), np.bool_)
    if len(first):
        whole[0] = kind[0] != BROKEN
        whole[-1] &= kind[-1] not in (BROKEN, FLUSHES)
    unknown = np.flatnonzero((kind == UNMAPS) & _is_unknown(events)[end])
    followed = np.arange(len(first)) > (unknown[-1] if len(unknown) else -1)
    keep = whole & (kind != BROKEN) & followed
    # An unrecorded sleep belongs to the page that its task maps next.
    names_page = end.copy()
    names_page[sleeps] = events.next_of_task(ev.MAPPED)[names_page[sleeps]]
    kept_evictions = evicts & keep[number]
    return LockSchedule(
        pages=pages,
        kind=kind[keep],
        seq=events.seq[end][keep],
        pid=events.pid[end][keep],
        cpu=events.cpu[end][keep],
        page=page[names_page][keep],
        slot=events.slot[end][keep],
        count=events.count[end][keep],
        takes=takes[keep],
        scans=scans[keep],
        flushes=events_of(code == ev.FLUSH)[keep],
        woken=((code[first] == ev.WOKEN) | _after_sleep(kind, pid[first]))[keep],
        late=_may_be_woken_late(events)[end][keep],
        evicted=page[locked[kept_evictions]],
        evicted_from=np.concatenate([[0], np.cumsum(events_of(evicts)[keep])]),
        slot_told=events.slot_told[end][keep],
        count_told=events.count_told[end][keep],
        evicted_told=events.page_told[locked[kept_evictions]],
        unrecorded=events.unrecorded,
        passed_over=int((~followed).sum()),
        cut_off=int((~whole).sum()),
        broken=[
            f"event {events.seq[locked[first[k]]]:,}, task {events.pid[locked[first[k]]]}: the lock hold "
            "that begins here is incomplete; check that the events are in the order in which they occurred"
            for k in np.flatnonzero(whole & followed & (kind == BROKEN)).tolist()
        ],
    )


def _is_unknown(events: ev.PoolEvents) -> np.ndarray:
    """Return whether each event lacks its page, or lacks its slot although the page was not mapped before."""
    mapped = np.flatnonzero(events.code == ev.MAPPED)
    pages, first = np.unique(events.page[mapped], return_index=True)
    at = np.minimum(np.searchsorted(pages, events.page), max(len(pages) - 1, 0))
    before = (pages[at] == events.page) & (mapped[first[at]] < np.arange(len(events.code)))
    return (events.page == ev.NONE) | ((events.slot == ev.NONE) & ~before)


def _goes_on(events: ev.PoolEvents) -> np.ndarray:
    """Return whether the task maps a page later that it requested before, so that it must have slept."""
    code = np.append(events.code, ev.ENTER)[events.next_of_task()]
    code[events.next_of_task(ev.MAPPED) == len(code)] = ev.ENTER
    if (events.code == ev.WOKEN).any():
        return code == ev.WOKEN
    return np.isin(code, [ev.SCAN, ev.PAGE_ADDRESS, ev.MAPPED])


def _after_sleep(kind: np.ndarray, pid: np.ndarray) -> np.ndarray:
    """Return whether each hold is its task's next one after a sleep."""
    by_task = np.argsort(pid, kind="stable")
    result = np.zeros(len(kind), np.bool_)
    here, after = by_task[:-1], by_task[1:]
    result[after] = (kind[here] == SLEEPS) & (pid[here] == pid[after]) & (kind[after] != UNMAPS)
    return result


def _may_be_woken_late(events: ev.PoolEvents) -> np.ndarray:
    """Return whether a wake-up may be in progress at each event.

    An unmap that leaves a page unused wakes the sleeping tasks after it has released the lock, so it also
    wakes tasks that went to sleep in between. The wake-up is over at the task's next event. A wake-up from
    before the recording is assumed to be in progress until each CPU has unmapped a page.
    """
    length = len(events.code)
    seen_again = events.next_of_task()
    slept = events.code == ev.SLEEP
    went_on = events.follows(ev.SLEEP) if ev.WOKEN in events.unrecorded else events.code == ev.WOKEN
    # Tasks asleep. A task that continues without a recorded sleep went to sleep before the recording began.
    before = went_on & ~events.follows(ev.SLEEP)
    asleep = np.cumsum(slept.astype(np.int64) - went_on) + int(before.sum())
    if ev.SLEEP in events.unrecorded:
        asleep[:] = 1
    to_unused = np.isin(events.count, [1, ev.NONE])
    wakes = np.flatnonzero((events.code == ev.UNMAPPED) & to_unused & (asleep > 0))
    change = np.zeros(length + 1, np.int64)
    unmaps = np.flatnonzero(events.code == ev.UNMAPPED)
    _, first_of_cpu = np.unique(events.cpu[unmaps], return_index=True)
    change[0] += 1
    change[unmaps[first_of_cpu].max() if len(unmaps) else length] -= 1
    np.add.at(change, wakes, 1)
    np.add.at(change, seen_again[wakes], -1)
    return np.cumsum(change)[:-1] > 0
