"""Reading a recording of the kernel's kmap pool event by event, in the order in which its lock was held."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.errors import InputError, unknown_name
from pipeline.files import readable_file
from pipeline.resources import shipped_files
from pipeline.trace.recording import columns_of, integers, read_columns, strings
from pipeline.trace.tracefs import EVENT_LINE, lines, lost_events

# The events of the pool; the position is the code.
EVENTS = ("ke", "spa", "km", "ku", "fz", "ftlb", "slp", "wak")
ENTER, PAGE_ADDRESS, MAPPED, UNMAPPED, SCAN, FLUSH, SLEEP, WOKEN = range(len(EVENTS))
NONE = -1

_COLUMNS = ("seq", "time_ns", "cpu", "pid", "ev", "page", "vaddr", "nr", "cnt")
_ARRAYS = ("seq", "code", "pid", "cpu", "page", "vaddr", "slot", "count")
_FIELD = re.compile(r"\b(page|vaddr|nr|cnt)=(0x[0-9a-f]+|\d+)")


@dataclass(frozen=True)
class PoolEvents:
    """One entry per event: `code` into EVENTS, and its fields; NONE where an event has no such field.

    `seq` is the recorder's number of the event or its line in the text, `page` the address of the struct
    page, `vaddr` the mapped address (0: the page was evicted), `slot` its number in the pool, `count` the use
    count after the event. `lost` is None where the recording does not tell whether events were lost.
    """

    path: Path
    seq: np.ndarray
    code: np.ndarray
    pid: np.ndarray
    cpu: np.ndarray
    page: np.ndarray
    vaddr: np.ndarray
    slot: np.ndarray
    count: np.ndarray
    lost: int | None


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
    return events


def without_begun_turn(events: PoolEvents) -> PoolEvents:
    """Leave out what a task did in a turn with the lock that began before the recording did.

    Only one task can be within the lock: its first event then is one that never begins a turn, such as an
    evicted page without its scan. Its turn ends when it is mapped or sleeps.
    """
    held = np.flatnonzero(events.code != ENTER)
    if not len(held) or events.code[held[0]] not in (PAGE_ADDRESS, FLUSH):
        return events
    first = int(held[0])
    pid = events.pid[first]
    entered = np.isin(events.code[:first], [ENTER]) & (events.pid[:first] == pid)
    begins_here = events.code[first] == PAGE_ADDRESS and events.vaddr[first] != 0 and entered.any()
    if begins_here:
        return events
    closing = np.flatnonzero((events.pid == pid) & np.isin(events.code, [MAPPED, SLEEP]))
    last = int(closing[0]) if len(closing) else len(events.code) - 1
    position = np.arange(len(events.code))
    keep = (position > last) | ((events.code == ENTER) & (events.pid != pid))
    return replace(events, **{name: getattr(events, name)[keep] for name in _ARRAYS})


def _from_parquet(path: Path) -> PoolEvents:
    table = read_columns(path, _COLUMNS, "raw events of the kmap pool").sort_by("seq")
    names = strings(table, "ev")
    unknown = next((k for k, name in enumerate(names) if name not in EVENTS), None)
    if unknown is not None:
        raise InputError(
            f"{path}: row {unknown}: ev is {names[unknown]!r}, wanted one of {', '.join(EVENTS)}"
        )

    def column(name: str) -> np.ndarray:
        return table.column(name).cast("int64").fill_null(NONE).to_numpy()

    return PoolEvents(
        path=path,
        seq=integers(table, "seq"),
        code=np.array([EVENTS.index(str(name)) for name in names], np.int64),
        pid=integers(table, "pid"),
        cpu=integers(table, "cpu"),
        page=column("page"),
        vaddr=column("vaddr"),
        slot=column("nr"),
        count=column("cnt"),
        lost=None,
    )


def _from_text(path: Path) -> PoolEvents:
    known = {name: code for code, name in enumerate(EVENTS)}
    rows: list[tuple[int, ...]] = []
    lost: int | None = None
    for number, line in enumerate(lines(path), 1):
        if line.startswith("#") or "EVENTS]" in line:
            if (found := lost_events(line)) is not None:
                lost = (lost or 0) + found
            continue
        if (match := EVENT_LINE.match(line)) is None or match[5] not in known:
            continue
        fields = {name: int(value, 0) for name, value in _FIELD.findall(match[6])}
        wanted = (fields.get(name, NONE) for name in ("page", "vaddr", "nr", "cnt"))
        rows.append((number, known[match[5]], int(match[2]), int(match[3]), *wanted))
    seq, code, pid, cpu, page, vaddr, slot, count = np.array(rows, np.int64).reshape(-1, 8).T
    return PoolEvents(path, seq, code, pid, cpu, page, vaddr, slot, count, lost)


def recording_path(name: str | Path) -> Path:
    """Path of a recording given by path, or by the name of a shipped one (traces/pool).

    Raises UsageError for a name that is neither.
    """
    path = Path(name)
    shipped = {
        file.name.removesuffix(".kmap.parquet"): file
        for file in shipped_files("traces/pool", ".parquet").values()
    }
    if path.suffix or path.exists():
        return path
    if str(name) in shipped:
        return shipped[str(name)]
    raise unknown_name("recording", str(name), shipped, "or give the path of a recording")
