"""Finding and reading recordings of the kernel's kmap pool: Parquet, or the tracefs text it came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError, unknown_name
from pipeline.importing.callers import classify_callers
from pipeline.importing.importer import integers, read_column_names, read_columns
from pipeline.importing.kmap_pool import events as ev
from pipeline.importing.kmap_pool.tracefs import read_tracefs
from pipeline.io.files import readable_file
from pipeline.io.resources import shipped_recordings

_COLUMNS = ("seq", "time_ns", "cpu", "pid", "ev", "page", "vaddr", "nr", "cnt")
_MAY_BE_MISSING = ("vaddr", "nr", "cnt", "caller")
# What an event must have to be followed.
_NEEDED = {
    ev.MAPPED: ("page", "slot", "count"),
    ev.UNMAPPED: ("page", "slot", "count"),
    ev.PAGE_ADDRESS: ("page", "vaddr"),
    ev.SLEEP: ("page",),
}


def read_pool_events(path: Path) -> ev.PoolEvents:
    """Read `*.kmap.parquet` or the raw tracefs text it came from (plain, gz or zst).

    Raises InputError if the file is neither, has none of the pool's events, or one that lacks a field.
    """
    readable_file(path, "a recording of the kernel's kmap pool")
    events = read_parquet(path, _COLUMNS) if read_column_names(path) else read_tracefs(path)
    if not len(events.code):
        raise InputError(
            f"{path}: wanted a recording of the kernel's kmap pool, found none of its events "
            f"({', '.join(ev.EVENTS)}); see traces/RECORDINGS.md for how one is made"
        )
    unknown = np.flatnonzero(events.code == ev.NONE)
    if len(unknown):
        row = int(unknown[0])
        name = read_columns(path, ("seq", "ev"), "").sort_by("seq").column("ev")[row].as_py()
        raise InputError(f"{path}: row {row}: ev is {name!r}, wanted one of {', '.join(ev.EVENTS)}")
    for code, fields in _NEEDED.items():
        for name in fields:
            lacking = np.flatnonzero((events.code == code) & (getattr(events, name) == ev.NONE))
            if len(lacking):
                raise InputError(
                    f"{path}: event {int(events.seq[lacking[0]]):,}, {ev.EVENTS[code]}, lacks its {name}, as "
                    f"{len(lacking):,} do; wanted nr and cnt with km and ku, page and vaddr with spa"
                )
    return events


def read_parquet(path: Path, needed: Sequence[str]) -> ev.PoolEvents:
    """Read raw events from Parquet, NONE for the code of one that is not known.

    Raises InputError if the file lacks a column that is `needed`, or a value that every event has.
    """
    there = read_column_names(path)
    names = dict.fromkeys([*needed, *(name for name in _MAY_BE_MISSING if name in there)])
    table = read_columns(path, list(names), "raw events of the kmap pool").sort_by("seq")

    def optional(name: str) -> np.ndarray:
        if name not in names:
            return np.full(table.num_rows, ev.NONE)
        return integers(table, name, null=ev.NONE)

    codes = pc.index_in(table.column("ev").cast(pa.string()), value_set=pa.array(ev.EVENTS))
    return ev.PoolEvents(
        path=path,
        seq=integers(table, "seq"),
        time=integers(table, "time_ns"),
        code=codes.cast(pa.int64()).fill_null(ev.NONE).to_numpy(),
        pid=integers(table, "pid"),
        cpu=integers(table, "cpu"),
        page=optional("page"),
        vaddr=optional("vaddr"),
        slot=optional("nr"),
        count=optional("cnt"),
        kind=classify_callers(table.column("caller")) if "caller" in names else None,
        cpu_time=None,
        rows_in=table.num_rows,
        lost=None,
    )


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
