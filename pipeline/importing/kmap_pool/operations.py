"""What both forms of a recording of the kernel's kmap pool have in common: provenance, rules and notes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.importing.importer import ImportedRows
from pipeline.importing.mappings import (
    FIRST_NOTE,
    HOLD_SPLIT,
    POOL_THINK_SPLIT,
    Mappings,
    arrange,
    process_note,
)
from pipeline.schema.trace import Provenance

_MEASURED: Provenance = "measured"
_COLUMNS: dict[str, Provenance] = {
    "time_ns": "measured",
    "task": "measured",
    "process": "assumed",
    "cpu": "measured",
    "kind": "derived",
    "page": "measured",
    "bytes": "absent",
    "think_ns": "derived",
    "wait_ns": "derived",
    "hold_ns": "derived",
    "block_ns": "derived",
    "depth": "derived",
}


def imported_pool(mappings: Mappings, rows_in: int, dropped: dict[str, int], threads: bool) -> ImportedRows:
    """Make trace rows of the pool's mappings; `dropped` is what the reader left out, by reason."""
    if mappings.cpu_ns is None:
        arranged = arrange(mappings, POOL_THINK_SPLIT, HOLD_SPLIT, threads)
        columns = _COLUMNS
        split_notes = [
            POOL_THINK_SPLIT.note("the interval between a task's mappings", "think_ns", "wait_ns"),
            HOLD_SPLIT.note("the interval from mapped to unmapped", "hold_ns", "block_ns"),
        ]
    else:
        arranged = arrange(mappings, None, None, threads)
        columns = _COLUMNS | dict.fromkeys(("think_ns", "wait_ns", "hold_ns", "block_ns"), _MEASURED)
        split_notes = [
            "CPU time is from each switch to the task until the switch away, interrupts included; wait_ns "
            "and block_ns are the rest, waiting for a CPU included"
        ]
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


@dataclass(frozen=True)
class PairedEvents:
    """Positions of the three events of each complete operation, and what was left over, by reason."""

    ke: list[int]
    km: list[int]
    ku: list[int]
    dropped: dict[str, int]


def pair_events(events: Sequence[str | None], tasks: Sequence[int], pages: Sequence[int]) -> PairedEvents:
    """Pair each "ku" (unmapped) with the latest open "km" (mapped) and "ke" (entered) of its task and page.

    One entry per event, in the kernel's order, these three names only.
    """
    entered: dict[tuple[int, int], list[int]] = defaultdict(list)
    mapped: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    pairs = PairedEvents([], [], [], {})
    begun_before = 0
    for row, (event, task, page) in enumerate(zip(events, tasks, pages, strict=True)):
        key = (task, page)
        if event == "ke":
            entered[key].append(row)
        elif event == "km":
            if entered[key]:
                mapped[key].append((entered[key].pop(), row))
            else:
                begun_before += 1
        elif mapped[key]:
            begin, middle = mapped[key].pop()
            pairs.ke.append(begin)
            pairs.km.append(middle)
            pairs.ku.append(row)
        else:
            begun_before += 1
    cut_off = sum(map(len, entered.values())) + sum(map(len, mapped.values()))
    pairs.dropped["cut off by the end"] = cut_off
    pairs.dropped["begun before the recording, or unmapped by another task"] = begun_before
    return pairs
