"""Find and read recordings of the kernel's kmap pool, in Parquet or as tracefs text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError, unknown_name
from pipeline.importing.callers import classify_callers
from pipeline.importing.importer import integers, name_file, read_column_names, read_columns
from pipeline.importing.kmap_pool import events as ev
from pipeline.importing.kmap_pool.missing_fields import fill_missing
from pipeline.importing.kmap_pool.tracefs import read_tracefs
from pipeline.io.files import readable_file
from pipeline.io.resources import shipped_areas, shipped_recordings

NEEDED_COLUMNS = ("pid", "ev")
_OPTIONAL_COLUMNS = ("seq", "time_ns", "cpu", "page", "vaddr", "nr", "cnt", "caller")


def read_pool_events(path: Path, with_scheduler: bool = False) -> ev.PoolEvents:
    """Read `*.kmap.parquet` or tracefs text, and fill in missing fields of events.

    `with_scheduler`: also read the scheduler's switches of a text. Raises InputError if the file is neither,
    or has no events of the pool or no mapping.
    """
    events = fill_missing(read_recorded_events(path, with_scheduler))
    if not (events.code == ev.MAPPED).any():
        raise InputError(
            f"{path}: the recording has no km (mapped) event of the kernel's pool; set a probe in kmap_high "
            "after it has found its slot, as in traces/highmem"
        )
    nameless = np.flatnonzero(
        (events.code == ev.MAPPED) & (events.page == ev.NONE) & (events.slot == ev.NONE)
    )
    if len(nameless):
        raise InputError(
            f"{path}: event {int(events.seq[nameless[0]]):,}, km, has neither page nor slot, and no other "
            f"event gives them ({len(nameless):,} such events); record page, nr or vaddr with km"
        )
    return events


def read_recorded_events(path: Path, with_scheduler: bool = False) -> ev.PoolEvents:
    """Read `*.kmap.parquet` or tracefs text as recorded, with NONE for missing fields.

    Text may be compressed. Raises InputError if the file is neither or has no events of the pool.
    """
    readable_file(path, "a recording of the kernel's kmap pool")
    with name_file(path):
        events = read_parquet(path) if read_column_names(path) else read_tracefs(path, with_scheduler)
    if not len(events.code):
        raise InputError(
            f"{path}: expected a recording of the kernel's kmap pool, found none of its events "
            f"({', '.join(ev.EVENTS)}); traces/RECORDINGS.md describes how to record them"
        )
    unknown = np.flatnonzero(events.code == ev.NONE)
    if len(unknown):
        row = int(unknown[0])
        name = _read_table(path).column("ev")[row].as_py()
        raise InputError(f"{path}: row {row}: ev is {name!r}; expected one of {', '.join(ev.EVENTS)}")
    return events


def _read_table(path: Path) -> pa.Table:
    """Return the rows in the order of `seq`, or in file order if there is no such column."""
    there = read_column_names(path)
    names = [*NEEDED_COLUMNS, *(name for name in _OPTIONAL_COLUMNS if name in there)]
    table = read_columns(path, names, "raw events of the kmap pool")
    return table.sort_by("seq") if "seq" in names else table


def read_parquet(path: Path) -> ev.PoolEvents:
    """Read raw events from Parquet, with NONE for unknown codes and missing fields.

    Raises InputError if the file lacks the column `pid` or `ev`, or if a `pid` is null.
    """
    table = _read_table(path)
    names = table.column_names

    def optional(name: str) -> np.ndarray:
        if name not in names:
            return np.full(table.num_rows, ev.NONE)
        return integers(table, name, null=ev.NONE)

    codes = pc.index_in(table.column("ev").cast(pa.string()), value_set=pa.array(ev.EVENTS))
    return ev.PoolEvents(
        path=path,
        seq=integers(table, "seq") if "seq" in names else np.arange(table.num_rows),
        time=optional("time_ns"),
        code=codes.cast(pa.int64()).fill_null(ev.NONE).to_numpy(),
        pid=integers(table, "pid"),
        cpu=optional("cpu"),
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
    """Return the path of a recording, given by its path or by the name of a shipped one.

    Those are in traces/pool and traces/vmalloc.

    Raises UsageError for an unknown name.
    """
    path = Path(name)
    shipped = shipped_recordings() | shipped_areas()
    if path.suffix or path.exists():
        return path
    if str(name) in shipped:
        return shipped[str(name)]
    raise unknown_name("recording", str(name), shipped, "or give the path of a recording")
