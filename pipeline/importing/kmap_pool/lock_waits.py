"""How long tasks spun for the pool's lock at an unmap, which is no time of their own.

No event says when a task asks for the lock to unmap: the recorded use of a mapping ends when it is unmapped,
and the wait is in it. A replay would wait a second time. What can be told is the wait behind a long hold, as
of a flush: a task that was on its CPU meanwhile and unmaps right after has spun, since it got the CPU or
since the hold began.
"""

from __future__ import annotations

import numpy as np

from pipeline.importing.kmap_pool.events import ENTER, PoolEvents

# Holds are microseconds but for those with a flush, and a release is followed by the next hold in as many.
_LONG_NS = 100_000
_RIGHT_AFTER_NS = 100_000


def find_lock_waits(events: PoolEvents, mapped: np.ndarray, unmapped: np.ndarray) -> np.ndarray:
    """Nanoseconds that each of the tasks spun before it unmapped; `mapped` and `unmapped` are positions.

    `events` has times in nanoseconds and `on_cpu_since`.
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
    # Long holds that follow one another at once are waited for together.
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
    # Whoever got the CPU after the hold has waited for nobody.
    waits[events.on_cpu_since[unmapped] > events.time[last[at]]] = 0
    return waits
