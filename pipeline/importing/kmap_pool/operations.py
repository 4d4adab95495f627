"""Convert events of the kernel's pool into operations of a trace: pairing, provenance, rules and notes."""

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
from pipeline.schema.names import KINDS
from pipeline.schema.trace_metadata import Provenance

_COLUMNS: dict[str, Provenance] = {
    "time_ns": "measured", "task": "measured", "process": "assumed", "cpu": "measured", "kind": "derived",
    "page": "measured", "bytes": "absent", "think_ns": "derived", "wait_ns": "derived", "hold_ns": "derived",
    "block_ns": "derived", "depth": "derived",
}  # fmt: skip


@dataclass(frozen=True)
class PoolOperations:
    """Positions of the three events of each complete operation, in the order of their maps.

    `dropped` counts incomplete operations by reason.
    """

    asked: np.ndarray
    mapped: np.ndarray
    unmapped: np.ndarray
    dropped: dict[str, int]


def pair_events(events: PoolEvents) -> PoolOperations:
    """Pair each UNMAPPED with the latest open MAPPED and ENTER of its task and page.

    If no ENTER was recorded, the time of the request is that of the map.
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
        "the recording ends before the unmap": cut_off,
        "they began before the recording, or another task unmapped the page": begun_before,
    }
    return PoolOperations(asked, middle, unmapped, dropped)


def build_mappings(events: PoolEvents, operations: PoolOperations) -> Mappings:
    """Return the fields of each operation; without recorded callers, the kind is the first of KINDS."""
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
    """Convert the pool's events, with times in ns, into trace rows.

    The pool's own events (scans, flushes, sleeps) are actions of the allocator and not part of a trace.
    """
    if (events.time == NONE).any():
        raise InputError(
            f"{events.path}: each event needs a time (time_ns), from which durations are computed; record "
            "the times. 'pipeline study kernel' does not need them"
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
    """Return notes on fields that events lack and that are inferred or assumed."""
    notes = []
    for code in (ENTER, MAPPED, UNMAPPED):
        lacking = int(((events.code == code) & ~events.page_told).sum())
        if lacking:
            notes.append(
                f"{lacking:,} {EVENTS[code]} events lack the page, which is inferred from other events of "
                "their task or slot"
            )
    if ENTER in events.unrecorded:
        notes.append("no ke was recorded: the time of a request is assumed to be the time of its map")
    if events.kind is None:
        notes.append(f"callers were not recorded: the kind of each operation is assumed to be {KINDS[0]}")
    return notes


def import_mappings(
    mappings: Mappings,
    rows_in: int,
    dropped: dict[str, int],
    threads: bool,
    lock_waits: np.ndarray | None = None,
) -> ImportedRows:
    """Convert the pool's mappings into trace rows; `dropped` counts mappings that the reader dropped.

    `lock_waits`, if known, is how long the task spun before each unmap; it is subtracted from the hold.
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
            "CPU time is the time from each switch to the task until the switch away, including interrupts; "
            "wait_ns and block_ns are the rest, including waits for a CPU"
        ]
    if lock_waits is not None:
        hold_ns = arranged.rows["hold_ns"]
        spun_ns = np.minimum(lock_waits[arranged.source_row], hold_ns)
        arranged.rows["hold_ns"] = hold_ns - spun_ns
        split_notes.append(
            f"hold_ns excludes {spun_ns.sum() / 1e9:.3f} s in total that tasks spun for the pool's lock at "
            f"{int((spun_ns > 0).sum()):,} unmaps behind holds of 100 us or more; it includes shorter waits"
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
            "the time from request to mapped, including sleeps for a slot, belongs to the recorded allocator "
            "and is in no column",
            FIRST_NOTE,
            "page numbers identify struct page addresses, so a frame that was freed and reused is the same "
            "page",
            "cpus is 1 + the largest recorded CPU number",
        ],
    )
