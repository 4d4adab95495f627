"""Neutral events: what every text recording is turned into before operations are made of it.

A block of events is an int64 array [event, COLUMNS], in the order of the recording. The first columns say
when, who and what; the others depend on the code:

| code | arguments |
|---|---|
| FAULT | address, 1 if the kernel touched it |
| PAGES | file, first byte, last byte: page-cache pages that the kernel looked up |
| WRITE_BEGIN, WRITE_END | file, position, length |
| ENTER | call, fd, count, position, buffer (clone: 1 for a thread), file |
| EXIT | call, return value, -1, position, (clone: 1 for a thread), file, duration in ns |
| WHOLE | as EXIT, with the fd third: entry and exit in one, at the time of the entry |
| SWITCH | task that leaves, task that comes, 1 if the leaving one sleeps |
| FORK | new task, 1 if it is a thread |
| EXEC, EXITED | |
| LOST | how many, -1 unknown |

A file is a hash of its device and inode, or of its path; 0: not known, NO_FILE: a pipe, a device or the like,
without pages of its own. -1 stands for a number that is not there. `NAME` is a hash of the command's name, 0
where it is not recorded.
"""

from __future__ import annotations

import numpy as np

COLUMNS = 14
NO_FILE = -2
TIME, TASK, PROCESS, CPU, CODE, NAME, A, B, C, D, E, F, G, LINE = range(COLUMNS)

(
    IGNORED, FAULT, PAGES, WRITE_BEGIN, WRITE_END, ENTER, EXIT, WHOLE, SWITCH, FORK, EXEC, EXITED, LOST,
    NEW_TASK,
) = range(14)  # fmt: skip

(
    NO_CALL, READ, READ_AT, WRITE, WRITE_AT, SEEK, OPEN, CLOSE, DUPLICATE, DIRECTORY, SPLICE, EXECUTE, CLONE,
    OTHER_CALL, DUPLICATE_TO,
) = range(15)  # fmt: skip

CALLS = {
    "read": READ, "readv": READ, "pread64": READ_AT, "pread": READ_AT, "preadv": READ_AT, "preadv2": READ_AT,
    "write": WRITE, "writev": WRITE, "pwrite64": WRITE_AT, "pwrite": WRITE_AT, "pwritev": WRITE_AT,
    "pwritev2": WRITE_AT, "lseek": SEEK, "open": OPEN, "openat": OPEN, "openat2": OPEN, "creat": OPEN,
    "close": CLOSE, "dup": DUPLICATE, "dup2": DUPLICATE_TO, "dup3": DUPLICATE_TO, "getdents64": DIRECTORY,
    "getdents": DIRECTORY, "sendfile64": SPLICE, "sendfile": SPLICE, "splice": SPLICE, "tee": SPLICE,
    "copy_file_range": SPLICE, "vmsplice": SPLICE, "execve": EXECUTE, "execveat": EXECUTE, "clone": CLONE,
    "clone3": CLONE, "fork": CLONE, "vfork": CLONE,
}  # fmt: skip

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
MASK = (1 << 62) - 1


def hash_of(text: bytes) -> int:
    """FNV-1a, folded to 62 bits: what the scanners compute of a name; never 0."""
    value = _FNV_OFFSET
    for byte in text:
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return (value & MASK) | 1


def name_table(meanings: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Open-addressing table from names' hashes to meanings: keys (0: free) and values, 2^n of each."""
    size = 1 << (len(meanings) * 4).bit_length()
    keys, values = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for name, meaning in meanings.items():
        place = hash_of(name.encode()) & (size - 1)
        while keys[place]:
            place = (place + 1) & (size - 1)
        keys[place], values[place] = hash_of(name.encode()), meaning
    return keys, values
