"""What a reader of results must know of a trace that was made of text."""

from __future__ import annotations

import numpy as np

from pipeline.importing.kmap_pool.operations import FIRST_NOTE, process_note
from pipeline.importing.mappings import Split
from pipeline.importing.reconstruct import state as st
from pipeline.importing.reconstruct.hold_lengths import SOURCE
from pipeline.importing.reconstruct.operations import LONGEST_THINK_NS
from pipeline.importing.text import tally as tl
from pipeline.importing.text.blocks import BlockReader
from pipeline.trace.losses import LOST_UNKNOWN

_IGNORED_SHOWN = 6


def notes_of(
    totals: np.ndarray,
    tally: tl.Tally,
    reader: BlockReader,
    calls_only: bool,
    threads: bool,
    lost_unknown: bool,
) -> list[str]:
    """Say how each column came about, what was assumed, and what was left out."""
    notes = _pages(calls_only) + _times(totals, calls_only) + [FIRST_NOTE]
    if threads:
        notes.append(process_note(threads))
    elif totals[st.OWNERS_UNKNOWN] > 1:
        notes.append(
            f"{int(totals[st.OWNERS_UNKNOWN]):,} tasks, of which the recording does not tell threads from "
            "processes, are each taken as a process"
        )
    if lost_unknown:
        notes.append(LOST_UNKNOWN)
    for count, what in (
        (
            totals[st.FORKS],
            "forks were recorded: a child is a process of its own unless made as a thread, and has its "
            "parent's descriptors",
        ),
        (totals[st.EXECS], "execs were recorded: from then on the task's page-table pages are new ones"),
        (
            totals[st.KERNEL_READS],
            "reads by the kernel itself (exec, for one): kind other, all pages looked up",
        ),
        (totals[st.SPLICES], "lookups of pages by calls that move them without mapping: no operations"),
        (tally.counts[tl.CHAINS], "lines of call chains were passed over"),
    ):
        if count:
            notes.append(f"{int(count):,} {what}")
    ignored = tally.ignored()
    if ignored:
        shown = ", ".join(f"{name} {count:,}" for name, count in list(ignored.items())[:_IGNORED_SHOWN])
        more = len(ignored) - _IGNORED_SHOWN
        notes.append(
            f"{sum(ignored.values()):,} lines of kinds that say nothing of mappings were passed over ({shown}"
            + (f", {more} kinds more)" if more > 0 else ")")
        )
    notes += [f"bad {said}" for said in tally.bad_lines(reader.overlong, reader.overlong_first)]
    return notes


def _pages(calls_only: bool) -> list[str]:
    if calls_only:
        return [
            "a page is (path, offset / 4096) of the file read or written; two paths of one file count as "
            "two, "
            "and so do a file and another that took its path",
            "page faults are not in such a recording, so the trace has none of them",
        ]
    return [
        "a fault's page is its page-table page, (process, address / 2 MiB), new with each exec; a copy's "
        "page is "
        "(device, inode, offset / 4096), and a file that was deleted and another with its inode are one",
    ]


def _times(totals: np.ndarray, calls_only: bool) -> list[str]:
    switches = totals[st.SWITCHES] > 0
    if switches:
        notes = [
            "CPU time is from each switch to the task until the switch away, interrupts included; waiting "
            "for a CPU "
            "counts as off CPU",
        ]
    else:
        split = Split(LONGEST_THINK_NS, LONGEST_THINK_NS)
        notes = [
            split.note(
                "the interval between a task's operations, less the sleep in its calls", "think_ns", "wait_ns"
            ),
            "the scheduler was not recorded: a system call of more than 1 ms is taken to have slept, but "
            "for 25 us",
        ]
    if calls_only:
        notes.append(
            f"hold_ns is drawn for each page from a measured distribution ({SOURCE}, copies), but for no "
            f"longer than "
            "the call took; the copy is taken to end with the call, and never to sleep or to fault"
        )
    else:
        notes += [
            f"hold_ns of {int(totals[st.FAULTS]):,} faults is drawn from a measured distribution "
            f"({SOURCE}), and "
            "ends with the task's next event if that comes earlier: the recording does not say it",
            "hold_ns and block_ns of a copy are from the lookup of its first page to the return of its call, "
            "divided among its pages; the recorder's own time is in it. A sleep before the first byte is "
            "wait_ns",
            "a fault of the kernel's during a copy is nested in the page that its address tells, or else in "
            "the first",
        ]
    return notes
