"""Signals that end a command within two seconds, at any time, with no partial files or child processes left.

SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, once. Native code can delay this
indefinitely, so a second thread watches for signals too. It stops work that can be stopped from outside, such
as a query, and ends the process if the main thread has not done so after GRACE_S.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pipeline.io.process import Process
from pipeline.io.scratch import discard_all, remove_stale

GRACE_S = 1.0
"""Time in s for the main thread to stop in its own way, possibly with a more detailed message."""

# Time to remove temporary files, and for children to end.
_CLEAR_UP_S = 0.5
_LOOK_S = 0.05

_SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


class _State:
    """State of signal handling in this process."""

    def __init__(self) -> None:
        self.received = 0
        self.raised = False
        self.handled_by_caller = False
        self.watched_fd = -1
        self.stoppers: list[Callable[[], None]] = []
        self.children: list[Process] = []
        self.ending = threading.Lock()

    def receive(self, number: int) -> None:
        if not self.received:
            self.received = number
            # List children before any of them ends, which would detach its own children.
            self.children = _descendants(os.getpid())


_state = _State()


def catch() -> None:
    """Install the handlers of the signals; call this once, from the main thread.

    Signals that were ignored when the process started, as set by `nohup` and shells, stay ignored.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    _state.watched_fd = writing
    watch()
    for number in _SAID:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise_once)
    sys.unraisablehook = _end_if_discarded
    threading.Thread(target=_watch, args=(reading,), name="interrupts", daemon=True).start()


def watch() -> None:
    """Direct signals to the watching thread; repeat this after an event loop has redirected them."""
    if _state.watched_fd >= 0:
        signal.set_wakeup_fd(_state.watched_fd, warn_on_full_buffer=False)


def ignore() -> None:
    """Ignore further signals: the work is done and the process is about to end."""
    for number in _SAID:
        signal.signal(number, signal.SIG_IGN)


def received() -> int:
    """Return the number of the signal that ends this process; 0 if none was received."""
    return _state.received


@contextmanager
def stopped_by(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` from another thread, possibly several times, if a signal arrives within the block."""
    _state.stoppers.append(stop)
    try:
        yield
    finally:
        _state.stoppers.remove(stop)


@contextmanager
def left_to_caller() -> Iterator[None]:
    """Let SIGINT only raise KeyboardInterrupt within the block, for a prompt that continues afterwards."""
    _state.handled_by_caller = True
    try:
        yield
    finally:
        _state.handled_by_caller = False


def end_process(message: str = "") -> NoReturn:
    """End this process after a signal, with a message and exit status and no files or children left."""
    if not _state.ending.acquire(blocking=False):
        # The other thread is already ending the process.
        time.sleep(2 * _CLEAR_UP_S)
        os._exit(128 + _state.received)
    text = message or _SAID[signal.Signals(_state.received)]
    with suppress(OSError):
        os.write(2, "".join(f"pipeline: {line}\n" for line in text.splitlines()).encode(errors="replace"))
    _end_children()
    discard_all()
    # Children that had to be killed have left theirs.
    remove_stale(Path(tempfile.gettempdir()))
    os._exit(128 + _state.received)


def _raise_once(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT and _state.handled_by_caller:
        raise KeyboardInterrupt
    if not _state.raised:
        _state.raised = True
        _state.receive(number)
        if _is_importing(frame):
            # An exception during the initialization of an extension module may abort the process.
            end_process()
        raise KeyboardInterrupt


def _end_if_discarded(discarded: sys.UnraisableHookArgs) -> None:
    """End the process if Python has discarded the KeyboardInterrupt of a signal.

    It does so in finalizers and in functions that native code calls, such as the compiler's.
    """
    if _state.received and issubclass(discarded.exc_type, KeyboardInterrupt):
        end_process()
    sys.__unraisablehook__(discarded)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _watch(pipe: int) -> None:
    number = 0
    while number not in _SAID or (number == signal.SIGINT and _state.handled_by_caller):
        number = os.read(pipe, 1)[0]
        if signal.getsignal(number) is not _raise_once:
            number = 0
    end_s = time.monotonic() + GRACE_S
    _state.receive(number)
    while time.monotonic() < end_s:
        for stop in list(_state.stoppers):
            # The object to stop may already be closed.
            with suppress(Exception):
                stop()
        time.sleep(_LOOK_S)
    threading.Timer(_CLEAR_UP_S, os._exit, (128 + _state.received,)).start()
    end_process()


def _descendants(pid: int) -> list[Process]:
    """Return the processes that a process has started, directly or indirectly."""
    found: list[Process] = []
    with suppress(OSError):
        for listed in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, listed.read_text().split()):
                found += [Process.of_this_host(child), *_descendants(child)]
    return found


def _end_children() -> None:
    """End the children that ran when the signal arrived: SIGTERM first, then SIGKILL."""
    end_s = time.monotonic() + _CLEAR_UP_S
    for number in (signal.SIGTERM, signal.SIGKILL):
        alive = [child for child in _state.children if not child.is_known_dead()]
        for child in alive:
            with suppress(OSError):
                os.kill(child.pid, number)
        while alive and time.monotonic() < end_s:
            time.sleep(_LOOK_S)
            alive = [child for child in alive if not child.is_known_dead()]
