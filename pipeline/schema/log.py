"""What a run consists of: the tables of its event log and its manifest, each column documented here.

The numpy record types are what the simulator fills. The Parquet files hold the same columns in fewer bits;
each column says here how (`Stored`), and the SQL views give back what the simulator filled in. -1 in a column
that names a slot, task, CPU or operation means "none"; the views turn it into NULL.
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
    """How a table's file holds a column.

    The file has the column's numbers in `type`; if `plus` names other columns, their difference to the sum of
    these less the sum of `minus`, under the column's name with `delta_` before it. Both name columns that are
    stored as they are. A row in which any number has no room in its type goes as it is into the table's wide
    file, so that nothing is lost. `encoding` is Parquet's, `compression` its codec. With `statistics`, row
    groups say their least and greatest number, which lets a question about one moment or one operation pass
    over the others.
    """

    type: pa.DataType
    encoding: str
    compression: str = "LZ4"
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    statistics: bool = False


# Measured with pyarrow and DuckDB: what is written in least time, among what is about as small and is read as
# quickly. A column of less than 32 bits keeps its type.
# Numbers that grow with the rows.
GROWING = Stored(pa.int64(), "DELTA_BINARY_PACKED", "NONE", statistics=True)

# Numbers of which neighbours have little in common but their high bytes.
VARYING = Stored(pa.int32(), "BYTE_STREAM_SPLIT")

# Numbers that are nearly always the same.
ALIKE = Stored(pa.int32(), "PLAIN")

# Codes of which the file has the names.
NAMES = Stored(pa.dictionary(pa.int8(), pa.string()), "RLE_DICTIONARY", "NONE")


def near(*plus: str, minus: tuple[str, ...] = ()) -> Stored:
    """Numbers that nearly always differ from a sum of other columns by the same."""
    return Stored(pa.int32(), "PLAIN", plus=plus, minus=minus)


@dataclass(frozen=True)
class LogColumn(Column):
    """A column of the log: what it means, and how it is stored.

    With `none`, -1 in it means none; if it is stored as a difference, that is -1 there too, and a row whose
    difference is negative otherwise goes into the wide file. Runs of format versions before `since` do not
    have the column: there it is what the SQL expression `before` makes of others.
    """

    stored: Stored
    none: bool = False
    since: int = 1
    before: str = "NULL"

    @property
    def stored_name(self) -> str:
        """Name of the column in the table's file."""
        return f"delta_{self.name}" if self.stored.plus else self.name


_DICT = pa.dictionary(pa.int8(), pa.string())


def _col(
    name: str, type_: pa.DataType, unit: str, doc: str, stored: Stored, *, none: bool = False, since: int = 1,
    before: str = "NULL",
) -> LogColumn:  # fmt: skip
    if not pa.types.is_dictionary(type_) and type_.bit_width < stored.type.bit_width:
        stored = replace(stored, type=type_)
    return LogColumn(name, type_, False, unit, doc, stored, none, since, before)


OPERATIONS = (
    _col("op", pa.int64(), "", "row of the trace, from 0", GROWING),
    _col("page", pa.int64(), "", "mapped page", VARYING),
    _col("asked_ns", pa.int64(), "ns", "when the task asked for the mapping", GROWING),
    _col("locked_ns", pa.int64(), "ns", "when the map first got the lock; -1: it took none",
         near("asked_ns", "map_wait_ns"), none=True),
    _col("mapped_ns", pa.int64(), "ns", "when the mapping could be used",
         Stored(pa.int32(), "BYTE_STREAM_SPLIT", plus=("asked_ns",))),
    _col("unmap_asked_ns", pa.int64(), "ns", "when the task asked to unmap",
         near("done_ns", minus=("unmap_wait_ns", "unmap_hold_ns"))),
    _col("done_ns", pa.int64(), "ns", "when the unmap was complete", GROWING),
    _col("map_wait_ns", pa.int64(), "ns", "spin before the map's first lock; > 0 exactly if contended",
         ALIKE),
    _col("map_hold_ns", pa.int64(), "ns", "hold of the map's first lock; 0: it took none", VARYING),
    _col("unmap_wait_ns", pa.int64(), "ns", "spin before the unmap's first lock; > 0 exactly if contended",
         ALIKE),
    _col("unmap_hold_ns", pa.int64(), "ns", "hold of the unmap's first lock; 0: it took none", ALIKE),
    _col("unmap_lead_ns", pa.int64(), "ns", "from asking to unmap to asking for the first lock", ALIKE,
         since=2, before="0"),
    _col("asleep_ns", pa.int64(), "ns", "time asleep for a slot, all sleeps together", ALIKE),
    _col("pin_wait_ns", pa.int64(), "ns", "time ready but waiting for the CPU it was pinned to", ALIKE),
    _col("flush_op", pa.int64(), "", "operation whose flush under the lock this one waited for longest; -1",
         ALIKE, none=True),
    _col("task", pa.int32(), "", "thread", VARYING),
    _col("process", pa.int32(), "", "its address space", near("task")),
    _col("slot", pa.int32(), "", "slot of the mapping; -1: none needed", VARYING, none=True),
    _col("probed", pa.int32(), "slots", "slots looked at in search of a free one", VARYING),
    _col("scanned", pa.int32(), "slots", "slots passed over by scans this operation made", ALIKE),
    _col("local_flushes", pa.int32(), "", "single addresses invalidated on the own CPU", ALIKE),
    _col("sleeps", pa.int32(), "", "how often the map slept for a slot", ALIKE),
    _col("holder", pa.int32(), "", "task that held the lock it waited for longest; -1: it never waited",
         ALIKE, none=True),
    _col("map_lock", pa.int32(), "", "first lock that the map took, by its number; -1: it took none", ALIKE,
         none=True, since=2),
    _col("unmap_lock", pa.int32(), "", "first lock that the unmap took; -1: it took none", ALIKE, none=True,
         since=2),
    _col("cpu_map", pa.int16(), "", "CPU that mapped", VARYING),
    _col("cpu_unmap", pa.int16(), "", "CPU that unmapped", near("cpu_map")),
    _col("kind", _DICT, "", "what asked for the mapping, as in the trace", NAMES),
    _col("served", _DICT, "", "how it was served: " + ", ".join(SERVED), NAMES),
    _col("depth", pa.int8(), "", "nesting depth, 0 outermost", ALIKE),
)  # fmt: skip

EVENTS = (
    _col("time_ns", pa.int64(), "ns", "when it began", GROWING),
    _col("duration_ns", pa.int64(), "ns", "how long it took", ALIKE),
    _col("op", pa.int64(), "", "operation in whose course it happened; -1: none", GROWING, none=True),
    _col("value", pa.int64(), "", "the event's quantity, see the event kinds; -1: none", ALIKE, none=True),
    _col("wait_ns", pa.int64(), "ns", "of a relock: wait before it was got; else -1", ALIKE, none=True,
         since=2, before="CASE WHEN event = 'relock' THEN value END"),
    _col("task", pa.int32(), "", "task it happened to; -1: none (an idle CPU was interrupted)", VARYING,
         none=True),
    _col("slot", pa.int32(), "", "slot concerned; -1: none", ALIKE, none=True),
    _col("other", pa.int32(), "", "task or CPU that caused it, see the event kinds; -1: none", VARYING,
         none=True),
    _col("lock", pa.int32(), "", "of a relock: the lock, by its number; else -1", ALIKE, none=True, since=2),
    _col("cpu", pa.int16(), "", "CPU it happened on", VARYING),
    _col("event", _DICT, "", "event kind", NAMES),
    _col("site", pa.int8(), "", "of a relock: side of the operation, 0 map, 1 unmap; else -1", ALIKE,
         none=True, since=2, before="CASE WHEN event = 'relock' THEN slot END"),
)  # fmt: skip

STRETCHES = (
    _col("begin_ns", pa.int64(), "ns", "when the CPU began this", GROWING),
    _col("end_ns", pa.int64(), "ns", "when it went on to something else", near("begin_ns")),
    _col("interrupted_ns", pa.int64(), "ns", "time in between that interrupts took from it", ALIKE),
    _col("op", pa.int64(), "", "operation that its task was in; -1: none", GROWING, none=True),
    _col("task", pa.int32(), "", "task that it ran; -1: none", VARYING, none=True),
    _col("cpu", pa.int16(), "", "CPU", VARYING),
    _col("category", _DICT, "", "what it did: " + ", ".join(c for c in CPU_CATEGORIES if c != "interrupted"),
         NAMES),
)  # fmt: skip

# The strings behind each dictionary column of the log, in code order.
DICTIONARIES: dict[str, tuple[str, ...]] = {
    "category": tuple(CPU_CATEGORIES),
    "kind": KINDS,
    "served": SERVED,
    "event": tuple(EVENT_KINDS),
}


@dataclass(frozen=True)
class LogTable:
    """A table of the log. Its files are named after it; `wide_` stands before the name of its wide file."""

    name: str
    columns: tuple[LogColumn, ...]

    @property
    def schema(self) -> pa.Schema:
        """The columns as they are meant: what the wide file has, and every file of format version 1."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    @property
    def stored_schema(self) -> pa.Schema:
        """The columns as the table's files hold them."""
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
