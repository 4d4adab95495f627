"""Estimate how long tasks spun for the pool's lock at an unmap.

No event records when a task requests the lock to unmap. The recorded use of a mapping therefore includes the
wait, and a replay would wait a second time. The wait behind a long hold, for example with a flush, can be
estimated: a task that was on its CPU during the hold and unmaps right after it has spun since it got the CPU
or since the hold began, whichever is later.
"""

from __future__ import annotations

import numpy as np

from pipeline.importing.kmap_pool.events import ENTER, PoolEvents

# Holds without a flush take microseconds, and the next hold starts within microseconds of a release.
_LONG_NS = 100_000
_RIGHT_AFTER_NS = 100_000


def find_lock_waits(events: PoolEvents, mapped: np.ndarray, unmapped: np.ndarray) -> np.ndarray:
    """Return the time in ns that each task spun before its unmap; `mapped` and `unmapped` are positions.

    `events` must have times in ns and `on_cpu_since`.
    """
    assert events.on_cpu_since is not None
    waits = np.zeros(len(unmapped), np.int64)
    locked = np.flatnonzero(events.code != ENTER)
    begins = np.flatnonzero(np.diff(events.pid[locked], prepend=-1) != 0)
    if not len(begins):
        return waits
    first = locked[begins]
    last = locked[np.append(begins, len(locked))[1:] - 1]
    long = events.time[last] - events.time[first] >= _LONG_NS
    first, last = first[long], last[long]
    if not len(first):
        return waits
    # Long holds in immediate succession count as one wait.
    apart = np.ones(len(first), np.bool_)
    apart[1:] = events.time[first[1:]] - events.time[last[:-1]] > _RIGHT_AFTER_NS
    since = events.time[first][np.maximum.accumulate(np.where(apart, np.arange(len(first)), 0))]
    before = np.searchsorted(last, unmapped) - 1
    at = np.maximum(before, 0)
    time = events.time[unmapped]
    behind = (
        (before >= 0)
        & (time - events.time[last[at]] <= _RIGHT_AFTER_NS)
        & (events.pid[last[at]] != events.pid[unmapped])
    )
    began = np.maximum(np.maximum(events.on_cpu_since[unmapped], since[at]), events.time[mapped])
    waits[behind] = np.maximum(time - began, 0)[behind]
    # A task that got its CPU after the hold did not wait for it.
    waits[events.on_cpu_since[unmapped] > events.time[last[at]]] = 0
    return waits
