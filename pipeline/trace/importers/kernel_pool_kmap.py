"""The kernel's kmap pool as raw events, in the order in which the kernel's lock let them happen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.trace.callers import kind_codes
from pipeline.trace.mappings import Mappings
from pipeline.trace.pool import imported_pool
from pipeline.trace.recording import ImportedRows, columns_of, integers, read_columns, strings

NAME = "kernel-pool-kmap"
SUMMARY = "the kernel's kmap pool, raw events (*.kmap.parquet)"

_COLUMNS = ("seq", "time_ns", "cpu", "pid", "ev", "page", "caller")


def sniff(path: Path) -> bool:
    """Whether the file at `path` looks like this format."""
    return columns_of(path).issuperset(_COLUMNS)


def read(path: Path, threads: bool) -> ImportedRows:
    """Read the recording at `path`; `threads` says that its tasks share one address space.

    A task's "ke" (entered), "km" (mapped) and "ku" (unmapped) of one page make an operation, the latest
    first; the pool's own events (scans, flushes, sleeps) are the allocator's doing and not part of a trace.
    Raises InputError when the file is not of this format.
    """
    table = read_columns(path, _COLUMNS, "raw events of the kmap pool")
    rows_in = table.num_rows
    table = table.filter(np.isin(np.array(strings(table, "ev"), object), ["ke", "km", "ku"])).sort_by("seq")
    pairs = _pair(
        strings(table, "ev"),
        integers(table, "pid").tolist(),
        integers(table, "page").tolist(),
    )
    time_ns = integers(table, "time_ns")
    entered, mapped, unmapped = (np.array(rows, np.int64) for rows in (pairs.ke, pairs.km, pairs.ku))
    # The recorder's order of mapping, as in the other form of the same recording.
    order = np.argsort(mapped)
    entered, mapped, unmapped = entered[order], mapped[order], unmapped[order]
    callers = strings(table, "caller")
    mappings = Mappings(
        task_id=integers(table, "pid")[entered],
        begin_ns=time_ns[entered],
        mapped_ns=time_ns[mapped],
        end_ns=time_ns[unmapped],
        cpu=integers(table, "cpu")[mapped],
        kind=kind_codes([callers[row] for row in entered]),
        page_id=integers(table, "page")[entered],
    )
    return imported_pool(mappings, rows_in, pairs.dropped, threads)


@dataclass(frozen=True)
class _Pairs:
    """Rows of the three events of each complete operation, and what was left over, by reason."""

    ke: list[int]
    km: list[int]
    ku: list[int]
    dropped: dict[str, int]


def _pair(events: list[str | None], tasks: list[int], pages: list[int]) -> _Pairs:
    entered: dict[tuple[int, int], list[int]] = defaultdict(list)
    mapped: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    pairs = _Pairs([], [], [], {})
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
