"""The trace format: its columns and limits.

A trace is one Parquet file (zstd, row groups of about 256 k rows), one row per mapping request
("operation"), sorted by `time_ns`. The rows of one task are in the order in which its operations
began. A nested operation (depth d > 0) therefore follows the enclosing operation of depth d - 1.

A trace with any of OPTIONAL_COLUMNS is of format version 2, every other one of version 1. In such a trace, a
mapping can have several pages, and can be unmapped by a row of its own, possibly of another task.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.schema.codes import PART_WHOLE
from pipeline.schema.names import KINDS, PARTS

# The newest version. A trace has the lowest version that can hold it.
FORMAT_VERSION = 2

ROW_GROUP_ROWS = 1 << 18

MAX_TASKS = 1 << 17

MAX_TIME_NS = 1 << 46

MAX_DEPTH = 16

MAX_PAGE = 1 << 31

# Numbers of mappings, and the length of one in pages.
MAX_MAPPING = 1 << 31

MAX_LENGTH = 1 << 20


@dataclass(frozen=True)
class Column:
    """A documented column of a table: Arrow type, whether null is allowed, unit and meaning."""

    name: str
    type: pa.DataType
    nullable: bool
    unit: str
    doc: str


_KIND_TYPE = pa.dictionary(pa.int8(), pa.string())

COLUMNS = (
    Column("time_ns", pa.int64(), False, "ns", "start of the operation in the recording; 0 is the first"),
    Column("task", pa.int32(), False, "", "thread, numbered densely from 0"),
    Column("process", pa.int32(), False, "", "address space, shared by the threads of a process, from 0"),
    Column("cpu", pa.int16(), True, "", "CPU in the recording; null if unknown"),
    Column("kind", _KIND_TYPE, False, "", "purpose of the mapping: " + ", ".join(KINDS)),
    Column("page", pa.int64(), False, "", "identity of the mapped page (pfn or a dense number), >= 0"),
    Column("bytes", pa.int32(), True, "bytes", "bytes copied; null if unknown"),
    Column(
        "think_ns", pa.int64(), False, "ns",
        "CPU time of the task since the end of its previous operation (nested: since the enclosing map or "
        "the previous nested unmap)",
    ),
    Column("wait_ns", pa.int64(), False, "ns", "time off CPU of the task in the same interval (I/O, idle)"),
    Column(
        "hold_ns", pa.int64(), False, "ns",
        "CPU time for which the mapping was in use, including think and hold times of nested operations",
    ),
    Column(
        "block_ns", pa.int64(), False, "ns",
        "time off CPU while the mapping was held, including wait and block times of nested operations",
    ),
    Column(
        "depth", pa.int8(), False, "",
        "nesting depth: 0 is outermost; d > 0 begins and ends inside the task's mapping of depth d-1",
    ),
)  # fmt: skip

_PART_TYPE = pa.dictionary(pa.int8(), pa.string())

# Columns that a trace can lack. A trace without all of them is of format version 1.
OPTIONAL_COLUMNS = (
    Column(
        "pages", pa.int32(), True, "pages",
        "length of the mapping, which has the page numbers `page` to `page` + `pages` - 1; null: 1",
    ),
    Column(
        "part", _PART_TYPE, True, "", "what the row performs: " + ", ".join(PARTS) + "; null: whole",
    ),
    Column(
        "mapping", pa.int64(), True, "",
        "number of the mapping that a row with part map or unmap maps or unmaps, from 0; otherwise null",
    ),
)  # fmt: skip

COLUMN_NAMES = tuple(column.name for column in COLUMNS)

OPTIONAL_NAMES = tuple(column.name for column in OPTIONAL_COLUMNS)

BY_NAME = {column.name: column for column in (*COLUMNS, *OPTIONAL_COLUMNS)}

# What stands for null in arrays. An optional column that a trace lacks has this value in every row.
NULL_VALUES = {column.name: -1 for column in BY_NAME.values() if column.nullable} | {
    "pages": 1,
    "part": PART_WHOLE,
}

# The smallest and the largest value of the integer columns that have limits of their own.
RANGES = {
    "task": (0, MAX_TASKS - 1),
    "process": (0, MAX_TASKS - 1),
    "page": (0, MAX_PAGE - 1),
    "depth": (0, MAX_DEPTH - 1),
    "pages": (1, MAX_LENGTH),
    "mapping": (NULL_VALUES["mapping"], MAX_MAPPING - 1),
} | {column.name: (0, MAX_TIME_NS - 1) for column in COLUMNS if column.unit == "ns"}

# Values of the columns with names, in the order of their codes.
NAMED_VALUES = {"kind": KINDS, "part": tuple(PARTS)}


def numpy_type(name: str) -> np.dtype[Any]:
    """Return the type of a column in arrays. Names are int8 codes."""
    return np.dtype(np.int8 if name in NAMED_VALUES else BY_NAME[name].type.to_pandas_dtype())


def arrow_schema(names: Iterable[str] = COLUMN_NAMES) -> pa.Schema:
    """Return the Arrow schema of columns of a trace, without metadata."""
    return pa.schema([pa.field(name, BY_NAME[name].type, BY_NAME[name].nullable) for name in names])


ARROW_SCHEMA = arrow_schema()
