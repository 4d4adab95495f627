"""Reading a recording of the kernel's kmap pool event by event, in the order in which its lock was held."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError, unknown_name
from pipeline.importing.importer import columns_of, integers, read_columns
from pipeline.importing.kmap_pool.tracefs_text import blocks, events_in_blocks, lost_in_head
from pipeline.io.files import readable_file
from pipeline.io.progress import progress
from pipeline.io.resources import shipped_files

# The events of the pool; the position is the code.
EVENTS = ("ke", "spa", "km", "ku", "fz", "ftlb", "slp", "wak")
ENTER, PAGE_ADDRESS, MAPPED, UNMAPPED, SCAN, FLUSH, SLEEP, WOKEN = range(len(EVENTS))
NONE = -1

_COLUMNS = ("seq", "time_ns", "cpu", "pid", "ev", "page", "vaddr", "nr", "cnt")
_ARRAYS = ("seq", "time", "code", "pid", "cpu", "page", "vaddr", "slot", "count")
# What an event must have to be followed.
_NEEDED = {
    MAPPED: ("page", "slot", "count"),
    UNMAPPED: ("page", "slot", "count"),
    PAGE_ADDRESS: ("page", "vaddr"),
    SLEEP: ("page",),
}
_FIELD = re.compile(rb"\b(page|vaddr|nr|cnt)=(0x[0-9a-fA-F]+|-?\d+)")


@dataclass(frozen=True)
class PoolEvents:
    """One entry per event: `code` into EVENTS, and its fields; NONE where an event has no such field.

    `seq` is the recorder's number of the event or its line in the text, `time` is in nanoseconds or what the
    text's clock counts, `page` the address of the struct
    page, `vaddr` the mapped address (0: the page was evicted), `slot` its number in the pool, `count` the use
    count after the event. `lost` is None where the recording does not tell whether events were lost; `gaps`
    are the ranges of events [first, end) within which some were.
    """

    path: Path
    seq: np.ndarray
    time: np.ndarray
    code: np.ndarray
    pid: np.ndarray
    cpu: np.ndarray
    page: np.ndarray
    vaddr: np.ndarray
    slot: np.ndarray
    count: np.ndarray
    lost: int | None
    gaps: tuple[tuple[int, int], ...] = ()


def read_pool_events(path: Path) -> PoolEvents:
    """Read `*.kmap.parquet` or the raw tracefs text it came from (plain, gz or zst).

    Raises InputError if the file is neither, or has none of the pool's events.
    """
    readable_file(path, "a recording of the kernel's kmap pool")
    events = _from_parquet(path) if columns_of(path) else _from_text(path)
    if not len(events.code):
        raise InputError(
            f"{path}: wanted a recording of the kernel's kmap pool, found none of its events "
            f"({', '.join(EVENTS)}); see traces/RECORDINGS.md for how one is made"
        )
    for code, fields in _NEEDED.items():
        for name in fields:
            lacking = np.flatnonzero((events.code == code) & (getattr(events, name) == NONE))
            if len(lacking):
                raise InputError(
                    f"{path}: event {int(events.seq[lacking[0]]):,}, {EVENTS[code]}, lacks its {name}, as "
                    f"{len(lacking):,} do; wanted nr and cnt with km and ku, page and vaddr with spa"
                )
    return events


def segments(events: PoolEvents) -> list[PoolEvents]:
    """Split a recording where events were lost: within each part none was, so each can be followed.

    What was recorded between the last event before a loss and the first one known to be after it is in none.
    """
    parts = []
    begin = 0
    for end, resume in (*sorted(events.gaps), (len(events.code), len(events.code))):
        if end > begin:
            parts.append(
                replace(events, gaps=(), **{name: getattr(events, name)[begin:end] for name in _ARRAYS})
            )
        begin = max(begin, resume)
    return parts


def _from_parquet(path: Path) -> PoolEvents:
    table = read_columns(path, _COLUMNS, "raw events of the kmap pool").sort_by("seq")
    codes = pc.index_in(table.column("ev").cast(pa.string()), value_set=pa.array(EVENTS))
    if codes.null_count:
        row = int(np.flatnonzero(codes.is_null().to_numpy())[0])
        raise InputError(
            f"{path}: row {row}: ev is {table.column('ev')[row].as_py()!r}, wanted one of {', '.join(EVENTS)}"
        )

    def column(name: str) -> np.ndarray:
        return table.column(name).cast("int64").fill_null(NONE).to_numpy()

    return PoolEvents(
        path=path,
        seq=integers(table, "seq"),
        time=integers(table, "time_ns"),
        code=codes.cast(pa.int64()).to_numpy(),
        pid=integers(table, "pid"),
        cpu=integers(table, "cpu"),
        page=column("page"),
        vaddr=column("vaddr"),
        slot=column("nr"),
        count=column("cnt"),
        lost=None,
    )


def _from_text(path: Path) -> PoolEvents:
    codes = {name.encode(): code for code, name in enumerate(EVENTS)}
    pattern = events_in_blocks(EVENTS)
    rows: list[tuple[int, ...]] = []
    gaps: list[tuple[int, int]] = []
    last_of_cpu: dict[int, int] = {}
    lost = lost_in_head(path)
    line = 1
    with progress("reading", None, "events") as advance:
        for whole in blocks(path):
            # A last line without its end may be cut short.
            block = whole[: whole.rfind(b"\n") + 1]
            at, before = 0, len(rows)
            for match in pattern.finditer(block):
                line += block.count(b"\n", at, match.start())
                at = match.start()
                pid, cpu, time, name, rest, losing, number, overwritten = match.groups()
                if name is not None:
                    last_of_cpu[int(cpu)] = len(rows)
                    fields = {key: int(value, 0) for key, value in _FIELD.findall(rest)}
                    wanted = (fields.get(key, NONE) for key in (b"page", b"vaddr", b"nr", b"cnt"))
                    rows.append((line, _ticks(time), codes[name], int(pid), int(cpu), *wanted))
                elif overwritten:
                    gaps = [(0, len(rows))]
                else:
                    # The text has them in order of time: they may lie anywhere since the CPU's last event.
                    gaps.append((last_of_cpu.get(int(losing), -1) + 1, len(rows)))
                    lost = (lost or 0) + int(number or 1)
            line += block.count(b"\n", at)
            advance(len(rows) - before)
    seq, times, code, pids, cpus, page, vaddr, slot, count = np.array(rows, np.int64).reshape(-1, 9).T
    return PoolEvents(path, seq, times, code, pids, cpus, page, vaddr, slot, count, lost, tuple(gaps))


def _ticks(time: bytes) -> int:
    """Time of an event: a counter's ticks, or nanoseconds where the text has seconds with a fraction."""
    seconds, point, fraction = time.partition(b".")
    return int(seconds + fraction.ljust(9, b"0")) if point else int(seconds)


def shipped_recordings() -> dict[str, Path]:
    """The shipped recordings of the pool by name."""
    return {
        file.name.removesuffix(".kmap.parquet"): file
        for file in shipped_files("traces/pool", ".parquet").values()
    }


def recording_path(name: str | Path) -> Path:
    """Path of a recording given by path, or by the name of a shipped one (traces/pool).

    Raises UsageError for a name that is neither.
    """
    path = Path(name)
    shipped = shipped_recordings()
    if path.suffix or path.exists():
        return path
    if str(name) in shipped:
        return shipped[str(name)]
    raise unknown_name("recording", str(name), shipped, "or give the path of a recording")
