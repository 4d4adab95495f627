"""Table of the kernel events that importers read, in the forms that all tools print.

A form is a template of the text after the event's name; the first form that matches is used. For comparison,
the kernel's own formats are in /sys/kernel/tracing/events/*/*/format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.importing import events as ev
from pipeline.importing.text.templates import Columns, read_numbers

_FAULT = (
    "address={address:x} ip={w} error_code={x}",
    "address={address:x}",
)
# The kernel prints a kernel address as a symbol.
_FAULT_AT_A_SYMBOL = ("address={w} ip={w} error_code={x}",)
_LOOKUP = ("dev={major:d}:{minor:d} ino={inode:x} ofs={position:n}-{last:n}",)
_EXT4 = "dev {major:d},{minor:d} ino {inode:n} pos {position:n} "
_WRITE_BEGIN = (
    _EXT4 + "len {count:n}",
    _EXT4 + "len {count:n} flags {n}",
    "dev = ({major:d},{minor:d}), ino = {inode:n}, pos = {position:n}, len = {count:n}",
    "dev = ({major:d},{minor:d}), ino = {inode:n}, pos = {position:n}, len = {count:n}, flags = {n}",
)
_WRITE_END = (
    _EXT4 + "len {n} copied {count:n}",
    _EXT4 + "copied {count:n}",
    "dev = ({major:d},{minor:d}), ino = {inode:n}, pos = {position:n}, len = {n}, copied = {count:n}",
)
_XFS_WRITE = (
    "dev {major:d}:{minor:d} ino {inode:x} disize {x} pos {position:x} bytecount {count:x}",
    "dev {major:d}:{minor:d} ino {inode:x} size {x} offset {position:x} count {count:x}",
)
_LEAVING = "prev_comm={any} prev_pid={leaving:d} prev_prio={d} prev_state={state:w} "
_SWITCH = (
    _LEAVING + "==> next_comm={any} next_pid={coming:d} next_prio={d}",
    _LEAVING + "==> next_comm={any} next_pid={coming:d}",
    # Raw fields, as `trace-cmd report -R` prints them.
    _LEAVING + "next_comm={any} next_pid={coming:d} next_prio={d}",
    "{any}:{leaving:d} [{d}] {state:w} ==> {any}:{coming:d} [{d}]",
    "x prev_pid={leaving:d} prev_state={state:w} ==> x next_pid={coming:d}",
)
_FORK = ("comm={any} pid={d} child_comm={any} child_pid={coming:d}",)
_NEW_TASK = (
    "pid={coming:d} comm={any} clone_flags={clone_flags:x} oom_score_adj={d}",
    "pid={coming:d} clone_flags={clone_flags:x}",
)
_ANYTHING = ("{any}",)
_LOST = ("lost {count:n}",)

# Arguments of a system call: perf and trace-cmd print them with 0x, tracefs without.
_ARGUMENTS = {
    "read write": "fd: {fd:x}, buf: {buffer:x}{held}, count: {count:x}",
    "pread64 pwrite64": "fd: {fd:x}, buf: {buffer:x}{held}, count: {count:x}, pos: {position:x}",
    "readv writev": "fd: {fd:x}, vec: {x}, vlen: {x}",
    "preadv pwritev": "fd: {fd:x}, vec: {x}, vlen: {x}, pos_l: {position:x}, pos_h: {x}",
    "preadv2 pwritev2": "fd: {fd:x}, vec: {x}, vlen: {x}, pos_l: {position:x}, pos_h: {x}, flags: {x}",
    "close": "fd: {fd:x}",
    "lseek": "fd: {fd:x}{more}",
    "dup": "fildes: {fd:x}",
    "dup2": "oldfd: {fd:x}, newfd: {count:x}",
    "dup3": "oldfd: {fd:x}, newfd: {count:x}, flags: {x}",
    "fcntl fcntl64": "fd: {fd:x}, cmd: {count:x}, arg: {x}",
    "close_range": "fd: {fd:x}, max_fd: {count:x}, flags: {x}",
}
_FAULTS = {"page_fault_user": 0, "page_fault_kernel": 1}


@dataclass(frozen=True)
class Event:
    """An event that is read: its code, its forms, and the call and flag that its name implies.

    `unread` are known forms that lack a required field; such a line counts as not read.
    """

    code: int
    forms: tuple[str, ...]
    call: int = -1
    flag: int = -1
    unread: tuple[str, ...] = ()


EVENTS: dict[str, Event] = (
    {
        name: Event(ev.FAULT, _FAULT, flag=flag, unread=_FAULT_AT_A_SYMBOL) for name, flag in _FAULTS.items()
    }
    | {
        "mm_filemap_get_pages": Event(ev.PAGES, _LOOKUP),
        "xfs_file_buffered_write": Event(ev.WRITE_BEGIN, _XFS_WRITE),
        "sched_switch": Event(ev.SWITCH, _SWITCH),
        "sched_process_fork": Event(ev.FORK, _FORK, flag=0),
        "task_newtask": Event(ev.FORK, _NEW_TASK),
        "sched_process_exec": Event(ev.EXEC, _ANYTHING),
        "sched_process_exit": Event(ev.EXITED, _ANYTHING),
        "PERF_RECORD_LOST": Event(ev.LOST, _LOST),
        "PERF_RECORD_LOST_SAMPLES": Event(ev.LOST, _LOST),
    }
    | {
        f"{name}_write_begin": Event(ev.WRITE_BEGIN, _WRITE_BEGIN)
        for name in ("ext4_da", "ext4", "ext3", "f2fs")
    }
    | {
        f"{name}_write_end": Event(ev.WRITE_END, _WRITE_END)
        for name in (
            "ext4_da", "ext4", "ext4_journalled", "ext4_ordered", "ext4_writeback", "ext3_ordered",
            "ext3_journalled", "ext3_writeback", "f2fs",
        )
    }
    | {
        f"sys_enter_{name}": Event(ev.ENTER, _ANYTHING, call=call)
        for name, call in ev.CALLS.items()
    }
    | {
        f"sys_enter_{name}": Event(ev.ENTER, (form,), call=ev.CALLS[name])
        for names, form in _ARGUMENTS.items()
        for name in names.split()
    }
    | {
        f"sys_exit_{name}": Event(ev.EXIT, ("{result:x}",), call=call)
        for name, call in ev.CALLS.items()
    }
)  # fmt: skip

# Events and calls that may map pages of files but from which no operation can be built.
UNREAD = (
    r"^sys_(?:enter|exit)$|(?:write|read)_(?:begin|end)$|buffered_(?:read|write)$|file_splice|copy_file_range"
    r"|^sys_enter_(?:process_vm_|io_getevents|mmap_pgoff$|preadv|pwritev)"
)

# A copy of more bytes than one call can move is damage.
LARGEST_RETURN = 0x7FFFF000
_CLONE_THREAD = 0x10000
# Numeric states of a task that leaves its CPU: a task with one of the lowest bits sleeps.
_SLEEPING = 0xFF


def is_sensible(events: np.ndarray) -> np.ndarray:
    """Return which events, all with the same code, have values that a kernel can print (bool)."""
    if not len(events):
        return np.zeros(0, bool)
    code, call = events["code"][0], events["call"]
    if code == ev.PAGES:
        return (events["position"] >= 0) & (events["position"] <= events["last"])
    if code in (ev.WRITE_BEGIN, ev.WRITE_END):
        return (events["position"] >= 0) & (events["count"] >= 0) & (events["count"] <= LARGEST_RETURN)
    if code == ev.EXIT:
        return (call < ev.READ) | (call > ev.WRITE_AT) | (events["result"] <= LARGEST_RETURN)
    return np.ones(len(events), bool)


def derive(columns: Columns) -> Columns:
    """Return fields of events (`events.EVENT`) from the fields of a form."""
    fields = {name: column for name, column in columns.items() if name not in _DERIVED}
    for name, function in _DERIVATIONS.items():
        if name in columns:
            fields |= function(columns)
    return fields


def _file(columns: Columns) -> Columns:
    """Return the file: a hash of device and inode."""
    device = (np.asarray(columns["major"]) << 20) | np.asarray(columns["minor"])
    key = pl.struct(pl.Series("device", device), pl.Series("inode", columns["inode"]), eager=True).hash()
    return {"file": (key.to_numpy() & np.uint64((1 << 62) - 1) | np.uint64(1)).view(np.int64)}


def _state(columns: Columns) -> Columns:
    state = columns["state"]
    numeric = state.str.contains("^[0-9]")
    number = read_numbers(state.set(~numeric, None))
    asleep = np.where(numeric.to_numpy(), number & _SLEEPING != 0, ~state.str.starts_with("R").to_numpy())
    return {"flag": asleep.astype(np.int64)}


def _clone_flags(columns: Columns) -> Columns:
    return {"flag": (np.asarray(columns["clone_flags"]) & _CLONE_THREAD != 0).astype(np.int64)}


def _result(columns: Columns) -> Columns:
    """Return the result as a signed number; a 32-bit kernel prints errors in 32 bits."""
    result = np.asarray(columns["result"])
    return {"result": np.where((result > 0xFFFFF000) & (result <= 0xFFFFFFFF), result - (1 << 32), result)}


_DERIVED = ("major", "minor", "inode", "state", "clone_flags")
_DERIVATIONS: dict[str, Callable[[Columns], Columns]] = {
    "inode": _file, "state": _state, "clone_flags": _clone_flags, "result": _result,
}  # fmt: skip
