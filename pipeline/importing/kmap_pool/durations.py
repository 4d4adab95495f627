"""How long what the pool's events bracket took on the recorded machine, in nanoseconds.

Each function returns one duration for each time that it was recorded. What a probe itself costs is in them,
and so is whatever else happened to the CPU in between.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    PoolEvents,
)


@dataclass(frozen=True)
class Scans:
    """Scans whose end was recorded: how long each took, and how many slots it freed."""

    took_ns: np.ndarray
    freed: np.ndarray


@dataclass(frozen=True)
class Evictions:
    """Slots freed: how long until the next one of the same scan, and how many that scan freed."""

    took_ns: np.ndarray
    of: np.ndarray


@dataclass(frozen=True)
class Misses:
    """Maps of a page that had no slot, made at once: how long each took, and how many slots it looked at."""

    took_ns: np.ndarray
    probes: np.ndarray


@dataclass(frozen=True)
class Wakes:
    """Unmaps that leave a slot unused: how long each went on, and how many tasks it woke."""

    took_ns: np.ndarray
    woken: np.ndarray


def flush_times(events: PoolEvents) -> np.ndarray:
    """From each TLB flush until its task's next event, when all CPUs have answered."""
    after = events.next_of_task()
    flushes = np.flatnonzero((events.code == FLUSH) & (after < len(events.code)))
    return events.time[after[flushes]] - events.time[flushes]


def scan_times(events: PoolEvents) -> Scans:
    """From the beginning of each scan until its task's next event but evictions."""
    evicts = events.evicts()
    shown = np.flatnonzero(~evicts)
    by_task = shown[np.argsort(events.pid[shown], kind="stable")]
    here, after = by_task[:-1], by_task[1:]
    ends = (events.code[here] == SCAN) & (events.pid[here] == events.pid[after])
    here, after = here[ends], after[ends]
    so_far = np.cumsum(evicts)
    return Scans(events.time[after] - events.time[here], so_far[after] - so_far[here])


def eviction_times(events: PoolEvents) -> Evictions:
    """From each eviction until its scan's next one: freeing a slot and looking at those up to the next."""
    evicts = np.append(events.evicts(), False)
    here = np.flatnonzero(evicts[:-1] & evicts[1:])
    here = here[events.pid[here] == events.pid[here + 1]]
    # A scan's evictions lie side by side: it has as many as from the one before it to the one behind it.
    others = np.flatnonzero(~evicts)
    behind = np.searchsorted(others, here)
    before = np.where(behind > 0, others[behind - 1], NONE)
    return Evictions(events.time[here + 1] - events.time[here], others[behind] - before - 1)


def hit_times(events: PoolEvents) -> np.ndarray:
    """From asking for a page that has a slot until it is mapped, where no other event came between."""
    hits = np.flatnonzero((events.code[1:] == MAPPED) & ~events.took[1:]) + 1
    hits = hits[(events.code[hits - 1] == ENTER) & (events.pid[hits - 1] == events.pid[hits])]
    return events.time[hits] - events.time[hits - 1]


def miss_times(events: PoolEvents) -> Misses:
    """The same for a page that has none, where nobody else and no scan came between."""
    taken = np.flatnonzero(events.took)
    probes = np.diff(events.slot[taken], prepend=NONE)
    taken, probes = taken[1:], probes[1:]
    begun = taken - 2
    alone = (
        (events.code[begun] == ENTER)
        & (events.code[taken - 1] == PAGE_ADDRESS)
        & (events.pid[begun] == events.pid[taken])
        & (events.pid[taken - 1] == events.pid[taken])
        & (events.slot[taken] != NONE)
        & (probes > 0)
        & (begun >= 0)
    )
    taken, begun = taken[alone], begun[alone]
    return Misses(events.time[taken] - events.time[begun], probes[alone])


def sleep_times(events: PoolEvents) -> np.ndarray:
    """From the unmap that wakes a sleeper until that has the lock: a CPU and the lock are waited for too."""
    after = events.next_of_task()
    slept = np.flatnonzero((events.code == SLEEP) & (after < len(events.code)))
    waking = np.flatnonzero((events.code == UNMAPPED) & (events.count == 1))
    if not len(waking):
        return np.zeros(0, np.int64)
    first = waking[np.minimum(np.searchsorted(waking, slept), len(waking) - 1)]
    woken = (first > slept) & (first < after[slept])
    return events.time[after[slept[woken]]] - events.time[first[woken]]


def switch_times(events: PoolEvents) -> np.ndarray:
    """From a task's going to sleep until the scheduler has left it; none where switches were not recorded."""
    slept = np.flatnonzero(events.code == SLEEP)
    left = _left_cpu(events, slept)
    return left[left >= 0] - events.time[slept[left >= 0]]


def wake_times(events: PoolEvents) -> Wakes:
    """From each unmap that leaves a slot unused until its task does something else or leaves its CPU.

    None where switches were not recorded: a task's next event may be long after it has left its CPU.
    """
    unused = np.flatnonzero((events.code == UNMAPPED) & (events.count == 1))
    asleep = np.searchsorted(np.flatnonzero(events.code == SLEEP), unused)
    left = _left_cpu(events, unused)
    after = events.next_of_task()[unused]
    goes_on = after < len(events.code)
    until = left.copy()
    until[goes_on] = np.minimum(left, events.time[np.minimum(after, len(events.code) - 1)])[goes_on]
    known = left >= 0
    return Wakes((until - events.time[unused])[known], np.diff(asleep, prepend=0)[known])


def _left_cpu(events: PoolEvents, which: np.ndarray) -> np.ndarray:
    """When the tasks of some events next left their CPU; NONE where that is not known."""
    left = np.full(len(which), NONE)
    switches = events.switches
    if switches is None:
        return left
    order = np.lexsort((switches.time, switches.leaving))
    leaving, time = switches.leaving[order], switches.time[order]
    low = np.searchsorted(leaving, events.pid[which], side="left")
    high = np.searchsorted(leaving, events.pid[which], side="right")
    for k, (since, a, b) in enumerate(
        zip(events.time[which].tolist(), low.tolist(), high.tolist(), strict=True)
    ):
        at = a + int(np.searchsorted(time[a:b], since))
        if at < b:
            left[k] = time[at]
    return left
