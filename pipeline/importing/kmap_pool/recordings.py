"""Finding and reading recordings of the kernel's kmap pool: Parquet, or the tracefs text it came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError, unknown_name
from pipeline.importing.callers import classify_callers
from pipeline.importing.importer import integers, read_column_names, read_columns
from pipeline.importing.kmap_pool import events as ev
from pipeline.importing.kmap_pool.missing_fields import fill_missing
from pipeline.importing.kmap_pool.tracefs import read_tracefs
from pipeline.io.files import readable_file
from pipeline.io.resources import shipped_recordings

NEEDED_COLUMNS = ("pid", "ev")
_OPTIONAL_COLUMNS = ("seq", "time_ns", "cpu", "page", "vaddr", "nr", "cnt", "caller")


def read_pool_events(path: Path, with_scheduler: bool = False) -> ev.PoolEvents:
    """Read `*.kmap.parquet` or the raw tracefs text it came from, and fill in what events lack.

    `with_scheduler`: text's switches too. Raises InputError if the file is neither, has none of the pool's
    events, or tells of no mapping.
    """
    events = fill_missing(read_recorded_events(path, with_scheduler))
    if not (events.code == ev.MAPPED).any():
        raise InputError(
            f"{path}: wanted km (mapped) among the events of the kernel's pool, found none; set a probe "
            "where kmap_high has its slot, as traces/highmem does"
        )
    nameless = np.flatnonzero(
        (events.code == ev.MAPPED) & (events.page == ev.NONE) & (events.slot == ev.NONE)
    )
    if len(nameless):
        raise InputError(
            f"{path}: event {int(events.seq[nameless[0]]):,}, km, tells neither its page nor its slot, as "
            f"{len(nameless):,} do, and no other event does; record page, nr or vaddr with it"
        )
    return events


def read_recorded_events(path: Path, with_scheduler: bool = False) -> ev.PoolEvents:
    """Read `*.kmap.parquet` or the raw tracefs text it came from, as recorded: NONE where a field lacks.

    Text may be compressed. Raises InputError if the file is neither or has none of the pool's events.
    """
    readable_file(path, "a recording of the kernel's kmap pool")
    events = read_parquet(path) if read_column_names(path) else read_tracefs(path, with_scheduler)
    if not len(events.code):
        raise InputError(
            f"{path}: wanted a recording of the kernel's kmap pool, found none of its events "
            f"({', '.join(ev.EVENTS)}); see traces/RECORDINGS.md for how one is made"
        )
    unknown = np.flatnonzero(events.code == ev.NONE)
    if len(unknown):
        row = int(unknown[0])
        name = _read_table(path).column("ev")[row].as_py()
        raise InputError(f"{path}: row {row}: ev is {name!r}, wanted one of {', '.join(ev.EVENTS)}")
    return events


def _read_table(path: Path) -> pa.Table:
    """Rows in the order of `seq`, or as they stand where there is none."""
    there = read_column_names(path)
    names = [*NEEDED_COLUMNS, *(name for name in _OPTIONAL_COLUMNS if name in there)]
    table = read_columns(path, names, "raw events of the kmap pool")
    return table.sort_by("seq") if "seq" in names else table


def read_parquet(path: Path) -> ev.PoolEvents:
    """Read raw events from Parquet, NONE for the code of one that is not known and for what lacks.

    Raises InputError if the file lacks the column `pid` or `ev`, or a task.
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
