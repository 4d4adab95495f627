"""What a reader of results must know of a trace that was made of text."""

from __future__ import annotations

from typing import Any

from pipeline.importing.importer import ReadOptions
from pipeline.importing.mappings import FIRST_NOTE, THINK_SPLIT, process_note
from pipeline.importing.reconstruct.hold_lengths import SOURCE
from pipeline.trace.losses import LOST_UNKNOWN

_CALLS_ONLY = (
    "a page is (path, offset / {page}) of the file read or written; two paths of one file count as two, and "
    "so do a file and another that took its path",
    "page faults are not in such a recording, so the trace has none of them",
)
_COPIES_ALONE = (
    "the recording has no call but reads and writes, none that opens, closes or moves a descriptor, so that "
    "no position is known; record without -e trace=read,write"
)
_WITH_PAGES = (
    "a fault's page is its page-table page, (process, address / {span} MiB), new with each exec; a copy's "
    "page is (device, inode, offset / {page}), and a file that was deleted and another with its inode are "
    "one",
)
_WITH_SWITCHES = (
    "CPU time is from each switch to the task until the switch away, interrupts included; waiting for a CPU "
    "counts as off CPU",
)
_WITHOUT_SWITCHES = (
    THINK_SPLIT.note(
        "the interval between a task's operations, less the sleep in its calls", "think_ns", "wait_ns"
    ),
    "the scheduler was not recorded: a system call of more than 1 ms is taken to have slept, but for 25 us",
)
_HOLDS_OF_CALLS = (
    f"hold_ns is drawn for each page from a measured distribution ({SOURCE}, copies), but for no longer than "
    "the call took; the copy is taken to end with the call, and never to sleep or to fault",
)
_HOLDS_OF_COPIES = (
    "hold_ns and block_ns of a copy are from the lookup of its first page to the return of its call, divided "
    "among its pages; the recorder's own time is in it. A sleep before the first byte is wait_ns",
    "a fault of the kernel's during a copy is nested in the page that its address tells, or else in the "
    "first",
)
_COUNTED = {
    "forks": "forks were recorded: a child is a process of its own unless made as a thread, and has its "
    "parent's descriptors",
    "execs": "execs were recorded: from then on the task's page-table pages are new ones",
    "kernel_reads": "reads by the kernel itself (exec, for one): kind other, all pages looked up",
    "splices": "lookups of pages by calls that move them without mapping: no operations",
}


def describe_rows(totals: Any, calls_only: bool, options: ReadOptions, lost_unknown: bool) -> list[str]:
    """Say how each column came about and what was assumed; `totals` is the record of `state.TOTALS`."""
    page, span, threads = options.page_bytes, options.page_table_span_bytes >> 20, options.threads
    notes = [text.format(page=page, span=span) for text in (_CALLS_ONLY if calls_only else _WITH_PAGES)]
    notes += _WITH_SWITCHES if totals.switches > 0 else _WITHOUT_SWITCHES
    if calls_only:
        notes += _HOLDS_OF_CALLS
        if not totals.other_calls:
            notes.append(_COPIES_ALONE)
    else:
        notes.append(
            f"hold_ns of {int(totals.faults):,} faults is drawn from a measured distribution ({SOURCE}), and "
            "ends with the task's next event if that comes earlier: the recording does not say it"
        )
        notes += _HOLDS_OF_COPIES
    notes.append(FIRST_NOTE)
    if threads:
        notes.append(process_note(threads))
    elif totals.owners_unknown > 1:
        notes.append(
            f"{int(totals.owners_unknown):,} tasks, of which the recording does not tell threads from "
            "processes, are each taken as a process"
        )
    if lost_unknown:
        notes.append(LOST_UNKNOWN)
    return notes + [f"{int(totals[name]):,} {what}" for name, what in _COUNTED.items() if totals[name]]
