"""Neutral events: the common form of all text recordings, from which operations are built.

A block of events is an array of EVENT records in the order of the recording. The first fields are time, task
and event code. The code determines which of the other fields are used:

| code | fields |
|---|---|
| FAULT | address; flag: 1 if the kernel touched it |
| PAGES | file, position and last: page-cache pages in this range of bytes, which the kernel looked up |
| WRITE_BEGIN, WRITE_END | file, position, count |
| ENTER | call, fd, count, position, buffer (clone: 1 for a thread), file |
| EXIT | call, result; from a recorder of whole calls also all fields of WHOLE; duration in ns |
| WHOLE | entry and exit in one event, at the entry: fd, file, position, result, buffer, duration in ns |
| | count, address, last: another descriptor, its file and its position; flag: a set of OPENED |
| SWITCH | leaving and coming: tasks; flag: 1 if the leaving task sleeps |
| FORK | coming: the new task; flag: 1 if it is a thread |
| EXEC, EXITED | |
| LOST | count, -1 unknown |

A file is a hash of its device and inode, or of its path. 0 means unknown, and NO_FILE means a pipe, device or
socket without page-cache pages. -1 means a missing number. `name` is a hash of the command's name, 0 if it is
not recorded. `line` is the line of the text, from 0.
"""

from __future__ import annotations

import numpy as np

from pipeline.jit.loops import compiled_inside

EVENT = np.dtype(
    [
        (name, "i8")
        for name in (
            "time", "task", "process", "cpu", "code", "name", "line", "call", "fd", "result", "count",
            "position", "last", "buffer", "file", "duration", "address", "leaving", "coming", "flag",
        )
    ]
)  # fmt: skip
# An event with all fields unset.
BLANK = np.full(1, -1, [(name, "i8") for name in EVENT.names or ()])
BLANK["name"] = 0
NO_FILE = -2

(
    FAULT, PAGES, WRITE_BEGIN, WRITE_END, ENTER, EXIT, WHOLE, SWITCH, FORK, EXEC, EXITED, LOST, NEW_TASK,
) = range(13)  # fmt: skip

# How a file was opened: for appending, truncated or new, closed by exec, by a relative path.
OPENED = APPEND, EMPTIED, CLOSE_ON_EXEC, RELATIVE = 1, 2, 4, 8
# What a new task shares with its creator: everything, as a thread, or the table of descriptors.
THREAD, SHARES_FILES = 1, 2
# Commands of fcntl, stored in the `count` of its event.
DUPLICATE_FD, SET_FD_FLAGS, SET_FILE_FLAGS, DUPLICATE_FD_CLOEXEC = 0, 2, 4, 1030

(
    NO_CALL, READ, READ_AT, WRITE, WRITE_AT, SEEK, OPEN, CLOSE, DUPLICATE, DIRECTORY, SPLICE, EXECUTE, CLONE,
    OTHER_CALL, DUPLICATE_TO, ASYNCHRONOUS, CONTROL, CLOSE_RANGE, OPEN_PAIR, OPEN_OTHER, STATE_SIZE,
    CHANGE_DIRECTORY,
) = range(22)  # fmt: skip

CALLS = {
    "read": READ, "readv": READ, "pread64": READ_AT, "pread": READ_AT, "preadv": READ_AT, "preadv2": READ_AT,
    "write": WRITE, "writev": WRITE, "pwrite64": WRITE_AT, "pwrite": WRITE_AT, "pwritev": WRITE_AT,
    "pwritev2": WRITE_AT, "lseek": SEEK, "open": OPEN, "openat": OPEN, "openat2": OPEN, "creat": OPEN,
    "close": CLOSE, "dup": DUPLICATE, "dup2": DUPLICATE_TO, "dup3": DUPLICATE_TO, "getdents64": DIRECTORY,
    "getdents": DIRECTORY, "sendfile64": SPLICE, "sendfile": SPLICE, "splice": SPLICE, "tee": SPLICE,
    "copy_file_range": SPLICE, "vmsplice": SPLICE, "execve": EXECUTE, "execveat": EXECUTE, "clone": CLONE,
    "clone3": CLONE, "fork": CLONE, "vfork": CLONE, "io_submit": ASYNCHRONOUS,
    "io_uring_enter": ASYNCHRONOUS, "fcntl": CONTROL, "fcntl64": CONTROL, "close_range": CLOSE_RANGE,
    "pipe": OPEN_PAIR, "pipe2": OPEN_PAIR, "socketpair": OPEN_PAIR, "_llseek": SEEK, "llseek": SEEK,
    "fstat": STATE_SIZE, "fstat64": STATE_SIZE, "newfstatat": STATE_SIZE, "fstatat64": STATE_SIZE,
    "statx": STATE_SIZE, "ftruncate": STATE_SIZE, "ftruncate64": STATE_SIZE, "chdir": CHANGE_DIRECTORY,
    "fchdir": CHANGE_DIRECTORY, "memfd_create": OPEN,
} | dict.fromkeys(
    (
        "socket", "accept", "accept4", "eventfd", "eventfd2", "epoll_create", "epoll_create1",
        "timerfd_create", "signalfd", "signalfd4", "inotify_init", "inotify_init1", "pidfd_open",
        "userfaultfd", "perf_event_open", "io_uring_setup", "fanotify_init", "bpf",
    ),
    OPEN_OTHER,
)  # fmt: skip


@compiled_inside
def copies_file(call):  # type: ignore[no-untyped-def]
    """Return whether a system call copies between memory and the pages of a file."""
    return READ <= call <= WRITE_AT


@compiled_inside
def reads_file(call):  # type: ignore[no-untyped-def]
    """Return whether a system call copies from the pages of a file to memory."""
    return READ <= call <= READ_AT
