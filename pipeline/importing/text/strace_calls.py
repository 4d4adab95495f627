"""Table of the system calls that are read from strace output, with forms of their arguments.

The forms match the output of `strace -y`; the first form that matches is used. For a call that is not listed
here, only its time is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.importing import events as ev
from pipeline.importing.text.lines import hashes
from pipeline.importing.text.templates import Columns

_FORMS = {
    "read readv write writev": ("{fd:fd}, ",),
    "pread64 pread pwrite64 pwrite preadv pwritev": ("{fd:fd}, {any}, {position:n})",),
    "preadv2 pwritev2": ("{fd:fd}, {any}, {position:n}, {flags})",),
    "lseek": ("{fd:fd}, {n}, {flags})",),
    "_llseek llseek": ("{fd:fd}, {n}, [{position:n}], {flags})",),
    "open memfd_create": ("{path:string}, {oflags:oflags}",),
    "creat": ("{path:string}",),
    "openat openat2": ("{fd:fd}, {path:string}, {oflags:oflags}",),
    "pipe pipe2": ("[{fd:fd}, {other:fd}]",),
    "socketpair": ("{any}[{fd:fd}, {other:fd}]",),
    "close": ("{fd:fd})",),
    "close_range": ("{fd:fd}, {other:n}, {oflags:oflags})",),
    "dup": ("{fd:fd})",),
    "dup2": ("{fd:fd}, {other:fd})",),
    "dup3": ("{fd:fd}, {other:fd}, {oflags:oflags})",),
    "fcntl fcntl64": ("{fd:fd}, {command:flags}, {oflags:oflags}", "{fd:fd}, {command:flags}"),
    "fstat fstat64": ("{fd:fd}, {any}st_size={position:n},",),
    "newfstatat fstatat64": ('{fd:fd}, "", {any}st_size={position:n},', "{any}"),
    "statx": ('{fd:fd}, "", {any}stx_size={position:n},', "{any}"),
    "ftruncate ftruncate64": ("{fd:fd}, {position:n})",),
    "chdir": ("{path:string})",),
    "fchdir": ("{fd:fd})",),
    "getdents getdents64": ("{fd:fd}, ",),
    "clone clone3 fork vfork": ("{clone:any})",),
    "execve execveat": ("",),
    "sendfile sendfile64": ("{other:fd}, {fd:fd}, {position:offset}, ",),
    "copy_file_range splice": ("{fd:fd}, {position:offset}, {other:fd}, {last:offset}, ",),
    "tee": ("{fd:fd}, {other:fd}, ",),
    "mmap mmap2": ("{any}, {fd:fd}, {n})",),
}


@dataclass(frozen=True)
class Call:
    """A call that is read: its code, the names that share its forms, and the forms."""

    code: int
    names: str
    forms: tuple[str, ...]


CALLS = {
    name: Call(ev.CALLS.get(name, ev.OTHER_CALL), names, forms)
    for names, forms in _FORMS.items()
    for name in names.split()
}
# Calls that may copy pages of files but from which no operation is built.
UNREAD = r"^(?:io_submit|io_uring_enter|process_vm_readv|process_vm_writev|vmsplice)$"


def derive(columns: Columns, call: int) -> Columns:
    """Return fields of events (`events.EVENT`) from the fields of a form."""
    fields: Columns = {name: columns[name] for name in ("fd", "position", "last") if name in columns}
    if "other" in columns:
        fields["count"] = columns["other"]
    if "other_file" in columns:
        fields["address"] = file_hashes(columns["other_file"])
    if "fd_file" in columns and call != ev.OPEN:
        fields["file"] = file_hashes(columns["fd_file"])
    if "clone" in columns:
        fields["buffer"] = clone_flags(columns["clone"])
    if "command" in columns:
        fields["count"] = columns["command"].replace_strict(_COMMANDS, default=-1, return_dtype=pl.Int64)
    if "oflags" in columns:
        fields["flag"] = _flags(columns["oflags"], _OPEN_FLAGS)
    if "path" in columns:
        path = columns["path"].str.strip_chars('"')
        fields["path"] = np.where(path.str.contains("^/"), file_hashes(path), hashes(path))
        relative = (~path.str.starts_with("/")).to_numpy() * ev.RELATIVE
        fields["flag"] = relative | fields.get("flag", ev.EMPTIED)
    return fields


_COMMANDS = {
    "F_DUPFD": ev.DUPLICATE_FD, "F_DUPFD_CLOEXEC": ev.DUPLICATE_FD_CLOEXEC, "F_SETFD": ev.SET_FD_FLAGS,
    "F_SETFL": ev.SET_FILE_FLAGS,
}  # fmt: skip
_OPEN_FLAGS = {
    "O_APPEND": ev.APPEND, "O_TRUNC": ev.EMPTIED, "O_EXCL": ev.EMPTIED, "CLOEXEC": ev.CLOSE_ON_EXEC,
}  # fmt: skip


def clone_flags(text: pl.Series) -> np.ndarray:
    """Return what the task created by each call shares with its creator."""
    return _flags(text, {"CLONE_THREAD": ev.THREAD, "CLONE_FILES": ev.SHARES_FILES})


def _flags(text: pl.Series, meanings: Mapping[str, int]) -> np.ndarray:
    """Return the set of flags in each text."""
    found = np.zeros(len(text), np.int64)
    for name, bit in meanings.items():
        found |= text.str.contains(name, literal=True).to_numpy() * bit
    return found


# Paths without pages in the page cache that the kernel maps to copy; /dev/shm has such pages.
_NO_PAGES = r"^[^/]|^/(?:proc|sys)/|^/dev/(?:$|[^s]|s[^h])|<(?:char|block) "


def file_hashes(paths: pl.Series) -> np.ndarray:
    """Return a hash of each path; NO_FILE for a file without pages, 0 for no path."""
    paths = paths.str.strip_suffix(" (deleted)")
    if paths.str.contains("\\", literal=True).any():
        names = paths.unique().drop_nulls()
        paths = paths.replace(names, names.map_elements(_unescape, return_dtype=pl.String))
    return np.where(paths.str.contains(_NO_PAGES).fill_null(False), ev.NO_FILE, hashes(paths))


def _unescape(path: str) -> str:
    """Replace the escapes that strace prints, such as \\x2f or \\57, by their characters."""
    path = re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), path)
    return re.sub(r"\\([0-7]{1,3})", lambda found: chr(int(found[1], 8)), path)
