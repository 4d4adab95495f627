"""Run under a limit on address space (`ulimit -v`), where native libraries abort the process.

A native allocator or compiler that gets no memory aborts without an exception. Under such a limit, a child
process therefore does the work with few threads, and this process reports an abort in one line.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import NoReturn

from pipeline.errors import OutOfMemory
from pipeline.io.memory import address_space_limit
from pipeline.io.scratch import discard_listed, list_in

LEAST_BYTES = 1_000_000_000
"""Measured address space of replays and reports of a few thousand operations, shared libraries included."""

# Each library thread reserves stack and buffers even when idle.
_FEW_THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "2",
    "RAYON_NUM_THREADS": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
_M_ARENA_MAX = -8  # mallopt(3)
_PR_SET_PDEATHSIG = 1  # prctl(2)

_ABORTED = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP, signal.SIGKILL}
# Messages that libraries print before they end the process with their own exit status.
_LIBRARIES_SAY = (b"OpenBLAS", b"cannot allocate memory for thread-local data")
_MOST_KEPT_BYTES = 100_000


def work_in_child() -> None:
    """Return in the process that does the work: a child if address space is limited, else this one.

    Raises OutOfMemory if the limit is less than LEAST_BYTES.
    """
    limit = address_space_limit()
    if limit is None:
        return
    if limit < LEAST_BYTES:
        raise OutOfMemory(
            f"at least {LEAST_BYTES / 1e6:,.0f} MB of address space is required, found a limit of "
            f"{limit / 1e6:,.0f} MB; raise it with 'ulimit -v {LEAST_BYTES // 1000}' or more"
        )
    reading, writing = os.pipe()
    temporary = os.memfd_create("temporary-files")
    if child := os.fork():
        os.close(writing)
        _wait(child, reading, temporary, limit)
    os.close(reading)
    list_in(temporary)
    os.dup2(writing, 2)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.mallopt(_M_ARENA_MAX, 2)
    for name, value in _FEW_THREADS.items():
        os.environ.setdefault(name, value)


def _wait(child: int, reading: int, temporary: int, limit: int) -> NoReturn:
    """Copy the child's stderr and exit with its status; replace the output of an abort with one line.

    The temporary files that the child leaves behind are removed.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: os.kill(child, number))
    said = b""
    while block := os.read(reading, 65_536):
        said = (said + block)[:_MOST_KEPT_BYTES]
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    discard_listed(temporary)
    if -status in _ABORTED or (status in (1, 127) and any(words in said for words in _LIBRARIES_SAY)):
        error = OutOfMemory.wanted(advice=f"raise the limit of {limit / 1e6:,.0f} MB (ulimit -v)")
        said, status = f"pipeline: {error}\n".encode(), error.exit_status
    os.write(2, said)
    sys.exit(status if status >= 0 else 128 - status)
