"""From the pool's events to the operations of a trace: pairing, provenance, rules and notes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError
from pipeline.importing.importer import ImportedRows
from pipeline.importing.kmap_pool.events import ENTER, EVENTS, MAPPED, NONE, UNMAPPED, PoolEvents
from pipeline.importing.kmap_pool.lock_waits import find_lock_waits
from pipeline.importing.mappings import (
    FIRST_NOTE,
    HOLD_SPLIT,
    POOL_THINK_SPLIT,
    Mappings,
    arrange,
    process_note,
)
from pipeline.schema.trace_metadata import Provenance

_COLUMNS: dict[str, Provenance] = {
    "time_ns": "measured", "task": "measured", "process": "assumed", "cpu": "measured", "kind": "derived",
    "page": "measured", "bytes": "absent", "think_ns": "derived", "wait_ns": "derived", "hold_ns": "derived",
    "block_ns": "derived", "depth": "derived",
}  # fmt: skip


@dataclass(frozen=True)
class PoolOperations:
    """Positions of the three events of each whole operation, in order of mapping.

    `dropped` counts what was left over, by reason.
    """

    asked: np.ndarray
    mapped: np.ndarray
    unmapped: np.ndarray
    dropped: dict[str, int]


def pair_events(events: PoolEvents) -> PoolOperations:
    """Pair each UNMAPPED with the latest open MAPPED and ENTER of its task and page.

    Where no ENTER was recorded, a page is taken to be asked for when it is mapped.
    """
    entered: dict[tuple[int, int], list[int]] = defaultdict(list)
    mapped: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    whole: list[tuple[int, int, int]] = []
    begun_before = 0
    followed = np.flatnonzero(np.isin(events.code, (ENTER, MAPPED, UNMAPPED)))
    columns = (events.code[followed], events.pid[followed], events.page[followed])
    for position, code, task, page in zip(followed.tolist(), *(c.tolist() for c in columns), strict=True):
        key = (task, page)
        if code == ENTER:
            entered[key].append(position)
        elif code == MAPPED and ENTER in events.unrecorded:
            mapped[key].append((position, position))
        elif code == MAPPED and entered[key]:
            mapped[key].append((entered[key].pop(), position))
        elif code == UNMAPPED and mapped[key]:
            whole.append((*mapped[key].pop(), position))
        else:
            begun_before += 1
    asked, middle, unmapped = np.array(sorted(whole, key=lambda three: three[1]), np.int64).reshape(-1, 3).T
    cut_off = sum(map(len, entered.values())) + sum(map(len, mapped.values()))
    dropped = {
        "cut off by the end": cut_off,
        "begun before the recording, or unmapped by another task": begun_before,
    }
    return PoolOperations(asked, middle, unmapped, dropped)


def build_mappings(events: PoolEvents, operations: PoolOperations) -> Mappings:
    """Look up what is known of each operation; its kind is the first one where callers were not recorded."""
    asked, mapped, unmapped = operations.asked, operations.mapped, operations.unmapped
    instants = np.stack([asked, mapped, unmapped], axis=1)
    return Mappings(
        task_id=events.pid[asked],
        begin_ns=events.time[asked],
        mapped_ns=events.time[mapped],
        end_ns=events.time[unmapped],
        cpu=events.cpu[mapped],
        kind=np.zeros(len(asked), np.int8) if events.kind is None else events.kind[asked],
        page_id=events.page[asked],
        cpu_ns=None if events.cpu_time is None else events.cpu_time[instants],
    )


def import_events(events: PoolEvents, threads: bool) -> ImportedRows:
    """Make trace rows of the pool's events, whose times are nanoseconds.

    The pool's own events (scans, flushes, sleeps) are the allocator's doing and not part of a trace.
    """
    if (events.time == NONE).any():
        raise InputError(
            f"{events.path}: wanted a time with each event (time_ns), of which an operation's durations are "
            "made; record it. 'pipeline study kernel' needs none"
        )
    operations = pair_events(events)
    mappings = build_mappings(events, operations)
    waits = None
    if events.on_cpu_since is not None:
        waits = find_lock_waits(events, operations.mapped, operations.unmapped)
    imported = import_mappings(mappings, events.rows_in, operations.dropped, threads, waits)
    imported.notes += _describe_lacking(events)
    if (events.cpu == NONE).any():
        imported.columns["cpu"], imported.cpus = "absent", None
    return imported


def _describe_lacking(events: PoolEvents) -> list[str]:
    """What events did not tell and was worked out or assumed."""
    notes = []
    for code in (ENTER, MAPPED, UNMAPPED):
        lacking = int(((events.code == code) & ~events.page_told).sum())
        if lacking:
            notes.append(f"{lacking:,} {EVENTS[code]} lack page, which other events of its task or slot tell")
    if ENTER in events.unrecorded:
        notes.append("no ke was recorded: a page is taken to be asked for when it is mapped")
    if events.kind is None:
        notes.append("callers were not recorded: each operation counts as the first kind of the table")
    return notes


def import_mappings(
    mappings: Mappings,
    rows_in: int,
    dropped: dict[str, int],
    threads: bool,
    lock_waits: np.ndarray | None = None,
) -> ImportedRows:
    """Make trace rows of the pool's mappings; `dropped` is what the reader left out, by reason.

    `lock_waits` is how long the task spun before each unmap, where that is known: no part of its hold.
    """
    columns = dict(_COLUMNS)
    if mappings.cpu_ns is None:
        arranged = arrange(mappings, POOL_THINK_SPLIT, HOLD_SPLIT, threads)
        split_notes = [
            POOL_THINK_SPLIT.note("the interval between a task's mappings", "think_ns", "wait_ns"),
            HOLD_SPLIT.note("the interval from mapped to unmapped", "hold_ns", "block_ns"),
        ]
    else:
        arranged = arrange(mappings, None, None, threads)
        for name in ("think_ns", "wait_ns", "hold_ns", "block_ns"):
            columns[name] = "measured"
        split_notes = [
            "CPU time is from each switch to the task until the switch away, interrupts included; wait_ns "
            "and block_ns are the rest, waiting for a CPU included"
        ]
    if lock_waits is not None:
        hold_ns = arranged.rows["hold_ns"]
        spun_ns = np.minimum(lock_waits[arranged.source_row], hold_ns)
        arranged.rows["hold_ns"] = hold_ns - spun_ns
        split_notes.append(
            f"hold_ns is without the {spun_ns.sum() / 1e9:.3f} s in all that tasks spun for the pool's lock "
            f"at {int((spun_ns > 0).sum()):,} unmaps behind holds of 100 us and more; shorter waits are in it"
        )
    return ImportedRows(
        rows=arranged.rows,
        columns=columns,
        clock="x86 time-stamp counter, converted to nanoseconds by the recorder",
        recorder="kprobes in kmap_high and kunmap_high, tracefs",
        rows_in=rows_in,
        cpus=int(mappings.cpu.max()) + 1,
        dropped={why: count for why, count in (dropped | arranged.dropped).items() if count},
        notes=[
            process_note(threads),
            *split_notes,
            "the time from asking to being mapped, sleeping for a slot included, is the recorded allocator's "
            "and in no column",
            FIRST_NOTE,
            "page numbers stand for struct page addresses, so a frame that was freed and used again is the "
            "same page",
            "cpus is 1 + the largest CPU number seen",
        ],
    )
