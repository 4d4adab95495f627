"""CPU time of the threads of a replay, by thread name."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PERIOD_S = 0.005


@contextmanager
def thread_times() -> Iterator[dict[str, float]]:
    """Fill a dictionary with the CPU seconds of each thread that runs in the context, by name without number.

    The times are sampled every few milliseconds. Work after the last sample of a thread is not included.
    """
    seconds: dict[str, float] = {}
    latest: dict[threading.Thread, float] = {}
    done = threading.Event()

    def look() -> None:
        for thread in threading.enumerate():
            if thread.ident is not None and thread is not threading.current_thread():
                try:
                    latest[thread] = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
                except OSError:
                    continue  # The thread has ended.

    def watch() -> None:
        while not done.wait(_PERIOD_S):
            look()
        look()

    watcher = threading.Thread(target=watch, name="watcher")
    watcher.start()
    try:
        yield seconds
    finally:
        done.set()
        watcher.join()
        for thread, spent in latest.items():
            name = thread.name.rpartition("_")[0] or thread.name
            seconds[name] = seconds.get(name, 0.0) + spent
