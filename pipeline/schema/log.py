"""The tables of a run's event log, with the meaning and storage of each column.

The simulator fills the NumPy record types. The Parquet files store the same columns in fewer bits, as
`Stored` describes for each column, and the SQL views restore the original values. In a column that
identifies a slot, task, CPU or operation, -1 means "none"; the views show NULL.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.schema.names import CPU_CATEGORIES, EVENT_KINDS, KINDS, SERVED
from pipeline.schema.trace import Column


@dataclass(frozen=True)
class Stored:
    """How a table's file stores a column.

    The file contains the column's numbers in `type`. If `plus` names other columns, the file instead contains
    the difference from the sum of `plus` minus the sum of `minus`, under the column's name with the prefix
    `delta_`. `plus` and `minus` name columns that are stored unchanged. A row with a number that does not fit
    its type is stored unchanged in the table's wide file, so no information is lost. `encoding` is Parquet's
    encoding and `compression` its codec. With `statistics`, row groups record the minimum and maximum, so
    queries about one moment or one operation skip all other groups.
    """

    type: pa.DataType
    encoding: str
    compression: str = "LZ4"
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    statistics: bool = False


# Chosen by measurement with pyarrow and DuckDB: the fastest to write among those of about the same size and
# reading speed. A column of less than 32 bits keeps its type.
# Numbers that grow with the rows.
GROWING = Stored(pa.int64(), "DELTA_BINARY_PACKED", "NONE", statistics=True)

# Numbers that share only their high bytes with their neighbours.
VARYING = Stored(pa.int32(), "BYTE_STREAM_SPLIT")

# Numbers that are nearly always the same.
ALIKE = Stored(pa.int32(), "PLAIN")

# Codes that the file stores as names.
NAMES = Stored(pa.dictionary(pa.int8(), pa.string()), "RLE_DICTIONARY", "NONE")


def near(*plus: str, minus: tuple[str, ...] = ()) -> Stored:
    """Return the storage of numbers with a nearly constant difference from a sum of other columns."""
    return Stored(pa.int32(), "PLAIN", plus=plus, minus=minus)


@dataclass(frozen=True)
class LogColumn(Column):
    """A column of the log: its meaning and its storage.

    With `none`, -1 means none. A column stored as a difference then stores -1 too, and a row with any other
    negative difference goes into the wide file. Runs of format versions before `since` lack the column; for
    them, the SQL expression `before` computes it from other columns.

    `areas` columns are only in runs of designs with AREAS; for other runs, `before` applies, too. In runs of
    these designs, -1 in an `open` column means that no row of the trace unmapped the mapping.
    """

    stored: Stored
    none: bool = False
    since: int = 1
    before: str = "NULL"
    areas: bool = False
    open: bool = False

    @property
    def stored_name(self) -> str:
        """Name of the column in the table's file."""
        return f"delta_{self.name}" if self.stored.plus else self.name


_DICT = pa.dictionary(pa.int8(), pa.string())


def _col(
    name: str, type_: pa.DataType, unit: str, doc: str, stored: Stored, *, none: bool = False, since: int = 1,
    before: str = "NULL", areas: bool = False, open_: bool = False,
) -> LogColumn:  # fmt: skip
    if not pa.types.is_dictionary(type_) and type_.bit_width < stored.type.bit_width:
        stored = replace(stored, type=type_)
    return LogColumn(name, type_, False, unit, doc, stored, none, since, before, areas, open_)


OPERATIONS = (
    _col("op", pa.int64(), "", "row number in the trace, from 0", GROWING),
    _col("page", pa.int64(), "", "mapped page", VARYING),
    _col("asked_ns", pa.int64(), "ns", "time of the map request", GROWING),
    _col("locked_ns", pa.int64(), "ns", "time when the map first acquired a lock; -1: it took none",
         near("asked_ns", "map_wait_ns"), none=True),
    _col("mapped_ns", pa.int64(), "ns", "time when the mapping was ready for use",
         Stored(pa.int32(), "BYTE_STREAM_SPLIT", plus=("asked_ns",))),
    _col("unmap_asked_ns", pa.int64(), "ns", "time of the unmap request",
         near("done_ns", minus=("unmap_wait_ns", "unmap_hold_ns")), open_=True),
    _col("done_ns", pa.int64(), "ns", "time when the unmap was complete", GROWING, open_=True),
    _col("map_wait_ns", pa.int64(), "ns", "spin time for the map's first lock; > 0 exactly if contended",
         ALIKE),
    _col("map_hold_ns", pa.int64(), "ns", "hold time of the map's first lock; 0: it took none", VARYING),
    _col("unmap_wait_ns", pa.int64(), "ns", "spin time for the unmap's first lock; > 0 exactly if contended",
         ALIKE),
    _col("unmap_hold_ns", pa.int64(), "ns", "hold time of the unmap's first lock; 0: it took none", ALIKE),
    _col("unmap_lead_ns", pa.int64(), "ns", "time from the unmap request to the request for its first lock",
         ALIKE, since=2, before="0"),
    _col("asleep_ns", pa.int64(), "ns", "total sleep time for a slot", ALIKE),
    _col("pin_wait_ns", pa.int64(), "ns", "time ready but waiting for the CPU to which the task was pinned",
         ALIKE),
    _col("flush_op", pa.int64(), "", "operation whose flush under the lock delayed this one most; -1: none",
         ALIKE, none=True),
    _col("task", pa.int32(), "", "thread", VARYING),
    _col("process", pa.int32(), "", "address space of the task", near("task")),
    _col("slot", pa.int32(), "", "slot of the mapping; -1: none needed", VARYING, none=True),
    _col("probed", pa.int32(), "slots", "slots examined in search of a free one", VARYING),
    _col("scanned", pa.int32(), "slots", "slots examined by the scans of this operation", ALIKE),
    _col("local_flushes", pa.int32(), "", "single addresses invalidated on the local CPU", ALIKE),
    _col("sleeps", pa.int32(), "", "number of sleeps for a slot", ALIKE),
    _col("holder", pa.int32(), "", "task that held the lock longest during the wait; -1: no wait",
         ALIKE, none=True),
    _col("map_lock", pa.int32(), "", "number of the first lock that the map took; -1: none", ALIKE,
         none=True, since=2),
    _col("unmap_lock", pa.int32(), "", "number of the first lock that the unmap took; -1: none", ALIKE,
         none=True, since=2),
    _col("pages", pa.int32(), "pages", "length of the mapping", ALIKE, since=3, before="1", areas=True),
    _col("unmap_task", pa.int32(), "", "thread that unmapped", near("task"), since=3, before="task",
         areas=True, open_=True),
    _col("cpu_map", pa.int16(), "", "CPU that mapped", VARYING),
    _col("cpu_unmap", pa.int16(), "", "CPU that unmapped", near("cpu_map")),
    _col("kind", _DICT, "", "purpose of the mapping, as in the trace", NAMES),
    _col("served", _DICT, "", "how the operation was served: " + ", ".join(SERVED), NAMES),
    _col("depth", pa.int8(), "", "nesting depth, 0 outermost", ALIKE),
)  # fmt: skip

EVENTS = (
    _col("time_ns", pa.int64(), "ns", "start of the event", GROWING),
    _col("duration_ns", pa.int64(), "ns", "duration of the event", ALIKE),
    _col("op", pa.int64(), "", "operation during which the event occurred; -1: none", GROWING, none=True),
    _col("value", pa.int64(), "", "meaning depends on the event kind; -1: none", ALIKE,
         none=True),
    _col("wait_ns", pa.int64(), "ns", "of a relock: wait for the lock; otherwise -1", ALIKE, none=True,
         since=2, before="CASE WHEN event = 'relock' THEN value END"),
    _col("task", pa.int32(), "", "task concerned; -1: none (an idle CPU was interrupted)", VARYING,
         none=True),
    _col("slot", pa.int32(), "", "slot concerned; -1: none", ALIKE, none=True),
    _col("other", pa.int32(), "", "meaning depends on the event kind; -1: none", VARYING,
         none=True),
    _col("lock", pa.int32(), "", "of a relock: number of the lock; otherwise -1", ALIKE, none=True, since=2),
    _col("cpu", pa.int16(), "", "CPU on which the event occurred", VARYING),
    _col("event", _DICT, "", "event kind", NAMES),
    _col("site", pa.int8(), "", "of a relock: side of the operation, 0 map, 1 unmap; otherwise -1", ALIKE,
         none=True, since=2, before="CASE WHEN event = 'relock' THEN slot END"),
)  # fmt: skip

STRETCHES = (
    _col("begin_ns", pa.int64(), "ns", "start of the stretch", GROWING),
    _col("end_ns", pa.int64(), "ns", "end of the stretch", near("begin_ns")),
    _col("interrupted_ns", pa.int64(), "ns", "part of the stretch that interrupts took", ALIKE),
    _col("op", pa.int64(), "", "operation of the task; -1: none", GROWING, none=True),
    _col("task", pa.int32(), "", "task that ran; -1: none", VARYING, none=True),
    _col("cpu", pa.int16(), "", "CPU", VARYING),
    _col("category", _DICT, "", "activity: " + ", ".join(c for c in CPU_CATEGORIES if c != "interrupted"),
         NAMES),
)  # fmt: skip

# The strings of each dictionary column of the log, in the order of their codes.
DICTIONARIES: dict[str, tuple[str, ...]] = {
    "category": tuple(CPU_CATEGORIES),
    "kind": KINDS,
    "served": SERVED,
    "event": tuple(EVENT_KINDS),
}


@dataclass(frozen=True)
class LogTable:
    """A table of the log. Its files are named after it; the name of its wide file has the prefix `wide_`."""

    name: str
    columns: tuple[LogColumn, ...]

    def without_areas(self) -> LogTable:
        """The table of a run of a design without AREAS."""
        return LogTable(self.name, tuple(column for column in self.columns if not column.areas))

    @property
    def schema(self) -> pa.Schema:
        """Schema of the table's columns, as in the wide file and in every file of format version 1."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    @property
    def stored_schema(self) -> pa.Schema:
        """Schema of the columns as stored in the table's files."""
        return pa.schema([pa.field(c.stored_name, c.stored.type, c.nullable) for c in self.columns])


LOG_TABLES = {
    table.name: table
    for table in (
        LogTable("operations", OPERATIONS), LogTable("events", EVENTS), LogTable("stretches", STRETCHES)
    )
}  # fmt: skip


def _record_type(columns: tuple[LogColumn, ...]) -> np.dtype:
    def numpy_type(column: Column) -> Any:
        dictionary = pa.types.is_dictionary(column.type)
        return (column.type.index_type if dictionary else column.type).to_pandas_dtype()

    return np.dtype([(c.name, numpy_type(c)) for c in columns], align=True)


OPERATION_RECORD = _record_type(OPERATIONS)

EVENT_RECORD = _record_type(EVENTS)

STRETCH_RECORD = _record_type(STRETCHES)
