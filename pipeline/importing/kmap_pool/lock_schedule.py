"""The lock schedule of a recording of the kernel's pool: what each task did while it held the pool's lock.

A hold begins when a task gets the lock and ends when its page is mapped, its page is unmapped or it is about
to sleep. Scans are also made outside of any mapping: the kernel flushes the pool's unused mappings when it
changes the attributes of pages, as it does for a module's code (`kmap_flush_unused`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.importing.kmap_pool import events as ev

# Kinds of holds. A broken one has begun before the recording, or lacks its end.
MAPS, UNMAPS, SLEEPS, FLUSHES, BROKEN = range(5)


@dataclass(frozen=True)
class LockSchedule:
    """One entry per hold, in the lock's order; see PoolEvents for the fields of the same name.

    `kind` as above, `seq` the number of its last event, `page` an index into `pages`, `takes` whether it took
    a new slot, `scans` and `flushes` how many it made, `woken` whether it began with a wake-up, `late`
    whether a wake-up by an earlier unmap may have been under way at its end. The pages that hold k evicted
    are evicted[evicted_from[k] : evicted_from[k + 1]]. `cut_off` counts the holds cut by the recording's
    ends, `broken` says which others are not whole.
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
    cut_off: int
    broken: list[str]

    def evicted_by(self, k: int) -> np.ndarray:
        """Pages that hold k evicted, in order."""
        return self.evicted[self.evicted_from[k] : self.evicted_from[k + 1]]


def schedule_holds(events: ev.PoolEvents) -> LockSchedule:
    """Group a recording's events by the hold of the lock that they happened in.

    A first and a last hold that are not whole are left out.
    """
    pages, page = np.unique(events.page, return_inverse=True)
    locked = np.flatnonzero(events.code != ev.ENTER)
    code, pid = events.code[locked], events.pid[locked]
    # What begins a hold: the end of the one before, another task, and what is only ever first in one.
    begins = np.ones(len(locked), np.bool_)
    begins[1:] = (
        np.isin(code[:-1], [ev.MAPPED, ev.UNMAPPED, ev.SLEEP])
        | (pid[1:] != pid[:-1])
        | np.isin(code[1:], [ev.WOKEN, ev.UNMAPPED])
        | ((code[1:] == ev.SCAN) & (code[:-1] != ev.WOKEN))
        | _follows(events, ev.ENTER)[locked][1:]
    )
    first = np.flatnonzero(begins)
    last = np.append(first, len(locked))[1:] - 1
    number = np.cumsum(begins) - 1

    def events_of(which: np.ndarray) -> np.ndarray:
        return np.bincount(number[which], minlength=len(first))

    kind = np.full(len(first), BROKEN)
    for ending, name in ((ev.MAPPED, MAPS), (ev.UNMAPPED, UNMAPS), (ev.SLEEP, SLEEPS)):
        kind[code[last] == ending] = name
    kind[(kind == BROKEN) & (code[first] == ev.SCAN)] = FLUSHES
    evicts = events.evicts()[locked]
    kind[(code[first] == ev.FLUSH) | evicts[first]] = BROKEN
    takes = events_of((code == ev.PAGE_ADDRESS) & ~evicts) > 0
    if (
        len(first)
        and code[0] != ev.SCAN
        and (kind[0] == SLEEPS or (takes[0] and events.slot[locked[last[0]]] == 0))
    ):
        # No search sleeps or takes slot 0 before it has scanned: the recording began after that.
        kind[0] = BROKEN
    # The last one may go on after the recording's end.
    whole = np.ones(len(first), np.bool_)
    if len(first):
        whole[0] = kind[0] != BROKEN
        whole[-1] &= kind[-1] not in (BROKEN, FLUSHES)
    keep = whole & (kind != BROKEN)
    kept_evictions = evicts & keep[number]
    end = locked[last]
    return LockSchedule(
        pages=pages,
        kind=kind[keep],
        seq=events.seq[end][keep],
        pid=events.pid[end][keep],
        cpu=events.cpu[end][keep],
        page=page[end][keep],
        slot=events.slot[end][keep],
        count=events.count[end][keep],
        takes=takes[keep],
        scans=events_of(code == ev.SCAN)[keep],
        flushes=events_of(code == ev.FLUSH)[keep],
        woken=(code[first] == ev.WOKEN)[keep],
        late=_may_be_woken_late(events)[end][keep],
        evicted=page[locked[kept_evictions]],
        evicted_from=np.concatenate([[0], np.cumsum(events_of(evicts)[keep])]),
        cut_off=int((~whole).sum()),
        broken=[
            f"event {events.seq[locked[first[k]]]:,}, task {events.pid[locked[first[k]]]}: the turn with the "
            "lock that begins here is not whole; are the events in the order in which they happened?"
            for k in np.flatnonzero(whole & (kind == BROKEN)).tolist()
        ],
    )


def _may_be_woken_late(events: ev.PoolEvents) -> np.ndarray:
    """Find when a wake-up may be under way.

    An unmap that leaves a page unused wakes the sleepers after it has released the lock, so it wakes those
    too that went to sleep since. It is over when its task is seen again. One from before the recording is
    taken to be under way until something was unmapped on each CPU.
    """
    length = len(events.code)
    by_task = np.argsort(events.pid, kind="stable")
    seen_again = np.full(length, length)
    same = events.pid[by_task[1:]] == events.pid[by_task[:-1]]
    seen_again[by_task[:-1][same]] = by_task[1:][same]
    slept = events.code == ev.SLEEP
    went_on = events.code == ev.WOKEN
    # Asleep by the recording, woken or not; those who went on without having slept did so before it began.
    before = went_on & ~_follows(events, ev.SLEEP)
    asleep = np.cumsum(slept.astype(np.int64) - went_on) + int(before.sum())
    wakes = np.flatnonzero((events.code == ev.UNMAPPED) & (events.count == 1) & (asleep > 0))
    change = np.zeros(length + 1, np.int64)
    unmaps = np.flatnonzero(events.code == ev.UNMAPPED)
    _, first_of_cpu = np.unique(events.cpu[unmaps], return_index=True)
    change[0] += 1
    change[unmaps[first_of_cpu].max() if len(unmaps) else length] -= 1
    np.add.at(change, wakes, 1)
    np.add.at(change, seen_again[wakes], -1)
    return np.cumsum(change)[:-1] > 0


def _follows(events: ev.PoolEvents, code: int) -> np.ndarray:
    """Whether the event before, of the same task, has that code."""
    by_task = np.argsort(events.pid, kind="stable")
    follows = np.zeros(len(by_task), np.bool_)
    same = events.pid[by_task[1:]] == events.pid[by_task[:-1]]
    follows[by_task[1:]] = same & (events.code[by_task[:-1]] == code)
    return follows
