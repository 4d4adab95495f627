"""The table of system calls that are read from strace: what stands between the parentheses.

Compare with a page of `strace -y`. The first form that fits counts. A call that is not here says no more than
what the task did meanwhile.
"""

from __future__ import annotations

import re
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
    "_llseek": ("{fd:fd}, {n}, [{position:n}], {flags})",),
    # With -y the file that was opened stands behind the descriptor that is returned.
    "open creat": ("{string}{any} = {n}<", "{path:string}"),
    "openat openat2": ("{fd:fd}, {any} = {n}<", "{fd:fd}, {path:string}, "),
    "close": ("{fd:fd})",),
    "dup": ("{fd:fd})",),
    "dup2": ("{fd:fd}, {other:fd})",),
    "dup3": ("{fd:fd}, {other:fd}, {flags})",),
    "getdents getdents64": ("{fd:fd}, ",),
    "clone clone3 fork vfork": ("{clone:any})",),
    "execve execveat": ("",),
    "sendfile sendfile64": ("{other:fd}, {fd:fd}, ",),
    "copy_file_range splice": ("{fd:fd}, {any}, {other:fd}, ",),
    "tee": ("{fd:fd}, {other:fd}, ",),
    "mmap mmap2": ("{any}, {fd:fd}, {n})",),
}


@dataclass(frozen=True)
class Call:
    """A call that is read: its code, the names that share its forms, and these."""

    code: int
    names: str
    forms: tuple[str, ...]


CALLS = {
    name: Call(ev.CALLS.get(name, ev.OTHER_CALL), names, forms)
    for names, forms in _FORMS.items()
    for name in names.split()
}
# Calls that may copy pages of files and of which no operation is made.
UNREAD = r"^(?:io_submit|io_uring_enter|process_vm_readv|process_vm_writev|vmsplice)$"


def derive(columns: Columns, call: int) -> Columns:
    """Fields of events (`events.EVENT`) from those of a form."""
    fields: Columns = {name: columns[name] for name in ("fd", "position") if name in columns}
    if "path" in columns:
        # A path as the program gave it is taken for that of a file in the working directory.
        fields["file"] = file_hashes(columns["path"].str.strip_chars('"').str.replace("^([^/])", "/./$1"))
    elif "fd_file" in columns and call != ev.OPEN:
        fields["file"] = file_hashes(columns["fd_file"])
    if "clone" in columns:
        fields["buffer"] = np.where(columns["clone"].str.contains("CLONE_THREAD", literal=True), 1, -1)
    return fields


# Files of these have no pages of the page cache, or none that the kernel maps to copy; but /dev/shm has.
_NO_PAGES = r"^[^/]|^/(?:proc|sys)/|^/dev/(?:$|[^s]|s[^h])|<(?:char|block) "


def file_hashes(paths: pl.Series) -> np.ndarray:
    """Hash of each path; NO_FILE for what has no pages, 0 where there is none."""
    paths = paths.str.strip_suffix(" (deleted)")
    if paths.str.contains("\\", literal=True).any():
        names = paths.unique().drop_nulls()
        paths = paths.replace(names, names.map_elements(_unescape, return_dtype=pl.String))
    return np.where(paths.str.contains(_NO_PAGES).fill_null(False), ev.NO_FILE, hashes(paths))


def _unescape(path: str) -> str:
    """What strace prints as \\x2f or \\57 is that character."""
    path = re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), path)
    return re.sub(r"\\([0-7]{1,3})", lambda found: chr(int(found[1], 8)), path)
