"""Durations between events of the kernel's pool on the recorded machine, in ns.

Each function returns one duration per occurrence. Durations include the cost of the probes and any
interruption of the CPU.
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
    """Scans with a recorded end: the duration of each, and the number of slots that it freed."""

    took_ns: np.ndarray
    freed: np.ndarray


@dataclass(frozen=True)
class Evictions:
    """Freed slots: the time until the next one of the same scan, and the number that the scan freed."""

    took_ns: np.ndarray
    of: np.ndarray


@dataclass(frozen=True)
class Misses:
    """Misses without a wait: the duration of each map, and the number of slots that it examined."""

    took_ns: np.ndarray
    probes: np.ndarray


@dataclass(frozen=True)
class Wakes:
    """Unmaps that leave a slot unused: the duration of each, and the number of tasks that it woke."""

    took_ns: np.ndarray
    woken: np.ndarray


def flush_times(events: PoolEvents) -> np.ndarray:
    """Return the time from each TLB flush to its task's next event, when all CPUs have responded."""
    after = events.next_of_task()
    flushes = np.flatnonzero((events.code == FLUSH) & (after < len(events.code)))
    return events.time[after[flushes]] - events.time[flushes]


def scan_times(events: PoolEvents) -> Scans:
    """Return the time from the start of each scan to its task's next event that is not an eviction."""
    evicts = events.evicts()
    shown = np.flatnonzero(~evicts)
    by_task = shown[np.argsort(events.pid[shown], kind="stable")]
    here, after = by_task[:-1], by_task[1:]
    ends = (events.code[here] == SCAN) & (events.pid[here] == events.pid[after])
    here, after = here[ends], after[ends]
    so_far = np.cumsum(evicts)
    return Scans(events.time[after] - events.time[here], so_far[after] - so_far[here])


def eviction_times(events: PoolEvents) -> Evictions:
    """Return the time from each eviction to the next of its scan: freeing a slot and examining others."""
    evicts = np.append(events.evicts(), False)
    here = np.flatnonzero(evicts[:-1] & evicts[1:])
    here = here[events.pid[here] == events.pid[here + 1]]
    # The evictions of a scan are adjacent, so their number follows from the events before and after them.
    others = np.flatnonzero(~evicts)
    behind = np.searchsorted(others, here)
    before = np.where(behind > 0, others[behind - 1], NONE)
    return Evictions(events.time[here + 1] - events.time[here], others[behind] - before - 1)


def hit_times(events: PoolEvents) -> np.ndarray:
    """Return the time from request to mapped of each hit with no other event in between."""
    hits = np.flatnonzero((events.code[1:] == MAPPED) & ~events.took[1:]) + 1
    hits = hits[(events.code[hits - 1] == ENTER) & (events.pid[hits - 1] == events.pid[hits])]
    return events.time[hits] - events.time[hits - 1]


def miss_times(events: PoolEvents) -> Misses:
    """Return the time from request to mapped of each miss with no scan or other task's event in between."""
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
    """Return the time from the unmap that wakes a task until the task has the lock.

    It includes waits for a CPU and for the lock.
    """
    after = events.next_of_task()
    slept = np.flatnonzero((events.code == SLEEP) & (after < len(events.code)))
    waking = np.flatnonzero((events.code == UNMAPPED) & (events.count == 1))
    if not len(waking):
        return np.zeros(0, np.int64)
    first = waking[np.minimum(np.searchsorted(waking, slept), len(waking) - 1)]
    woken = (first > slept) & (first < after[slept])
    return events.time[after[slept[woken]]] - events.time[first[woken]]


def switch_times(events: PoolEvents) -> np.ndarray:
    """Return the time from each sleep to the switch away; empty if switches were not recorded."""
    slept = np.flatnonzero(events.code == SLEEP)
    left = _left_cpu(events, slept)
    return left[left >= 0] - events.time[slept[left >= 0]]


def wake_times(events: PoolEvents) -> Wakes:
    """Return the time from each unmap that leaves a slot unused to its task's next event or switch away.

    The result is empty if switches were not recorded, because a task's next event may be long after it has
    left its CPU.
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
    """Return when the tasks of the events `which` next left their CPU; NONE if unknown."""
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
