"""Notes on a trace that was imported from text: provenance, assumptions and limits."""

from __future__ import annotations

from typing import Any

from pipeline.importing.importer import ReadOptions
from pipeline.importing.mappings import FIRST_NOTE, THINK_SPLIT, process_note
from pipeline.importing.reconstruct.hold_lengths import SOURCE
from pipeline.trace.losses import LOST_UNKNOWN

_CALLS_ONLY = (
    "a page is (path, offset / {page}) of the file read or written; two paths of a file count as two files, "
    "and a file that replaced another at the same path counts as the same file",
    "such a recording contains no page faults, so the trace has none",
)
_COPIES_ALONE = (
    "the recording has only reads and writes and no call that opens, closes or moves a descriptor, so file "
    "positions are unknown; record without -e trace=read,write"
)
_WITH_PAGES = (
    "a fault's page is its page-table page, (process, address / {span} MiB), with new pages after each exec; "
    "a copy's page is (device, inode, offset / {page}), and a file that reuses the inode of a deleted file "
    "counts as the same file",
)
_WITH_SWITCHES = (
    "CPU time is the time from each switch to the task until the switch away, including interrupts; waits "
    "for a CPU count as time off CPU",
)
_WITHOUT_SWITCHES = (
    THINK_SPLIT.note(
        "the interval between a task's operations, less the sleep in its calls", "think_ns", "wait_ns"
    ),
    "the scheduler was not recorded: a system call of more than 1 ms is assumed to have slept for all but "
    "25 us",
)
_HOLDS_OF_CALLS = (
    f"hold_ns is drawn for each page from a measured distribution ({SOURCE}, copies), limited to the "
    "duration of the call; the copy is assumed to end with the call, and not to sleep or fault",
)
_HOLDS_OF_COPIES = (
    "hold_ns and block_ns of a copy are the time from the lookup of its first page to the return of its "
    "call, divided among its pages, including the recorder's overhead; a sleep before the first byte is "
    "wait_ns",
    "a kernel fault during a copy is nested in the page at its address, or else in the first page",
)
_COUNTED = {
    "forks": "forks were recorded: a child is a new process unless it was created as a thread, and inherits "
    "its parent's descriptors",
    "execs": "execs were recorded: each gives the task new page-table pages",
    "kernel_reads": "reads by the kernel (for example in exec) were recorded as kind other, with all pages "
    "looked up",
    "splices": "page lookups were made by calls that move pages without mapping; these are not operations",
}


def describe_rows(totals: Any, calls_only: bool, options: ReadOptions, lost_unknown: bool) -> list[str]:
    """Return notes on the provenance of columns and on assumptions; `totals` is the `state.TOTALS` record."""
    page, span, threads = options.page_bytes, options.page_table_span_bytes >> 20, options.threads
    notes = [text.format(page=page, span=span) for text in (_CALLS_ONLY if calls_only else _WITH_PAGES)]
    notes += _WITH_SWITCHES if totals.switches > 0 else _WITHOUT_SWITCHES
    if calls_only:
        notes += _HOLDS_OF_CALLS
        if not totals.other_calls:
            notes.append(_COPIES_ALONE)
    else:
        notes.append(
            f"hold_ns of {int(totals.faults):,} faults is drawn from a measured distribution ({SOURCE}), "
            "because it is not recorded; it ends at the latest with the task's next event"
        )
        notes += _HOLDS_OF_COPIES
    notes.append(FIRST_NOTE)
    if threads:
        notes.append(process_note(threads))
    elif totals.owners_unknown > 1:
        notes.append(
            f"{int(totals.owners_unknown):,} tasks are each assumed to be a process, because the recording "
            "does not distinguish threads from processes"
        )
    if lost_unknown:
        notes.append(LOST_UNKNOWN)
    return notes + [f"{int(totals[name]):,} {what}" for name, what in _COUNTED.items() if totals[name]]
