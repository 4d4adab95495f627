"""The trace format, version 1: its columns, its metadata, and where each is documented.

A trace is one Parquet file (zstd, row groups of about 256 k rows), one row per mapping request
("operation"), sorted by `time_ns`. Rows of one task are in the order in which its operations began, so a
nested operation (depth d > 0) follows the operation of depth d - 1 that it happens inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

FORMAT_VERSION = 1
METADATA_KEY = b"pipeline.trace"
ROW_GROUP_ROWS = 1 << 18

# Codes of `kind`: the position in this tuple is the code used in memory and in compiled code.
KINDS = ("page_fault", "copy_to_user", "copy_from_user", "exec_args", "directory", "other")

MAX_TASKS = 1 << 17
MAX_TIME_NS = 1 << 46
MAX_DEPTH = 16
MAX_PAGE = 1 << 31

Provenance = Literal["measured", "derived", "assumed", "synthetic", "absent"]


@dataclass(frozen=True)
class Column:
    """One documented column of a table: Arrow type, whether null is allowed, unit and meaning."""

    name: str
    type: pa.DataType
    nullable: bool
    unit: str
    doc: str


_KIND_TYPE = pa.dictionary(pa.int8(), pa.string())

COLUMNS = (
    Column("time_ns", pa.int64(), False, "ns", "when the operation began in the recording; 0 is the first"),
    Column("task", pa.int32(), False, "", "thread, numbered densely from 0"),
    Column("process", pa.int32(), False, "", "address space of the task (threads share it), from 0"),
    Column("cpu", pa.int16(), True, "", "CPU in the recording; null where unknown"),
    Column("kind", _KIND_TYPE, False, "", "what asked for the mapping: " + ", ".join(KINDS)),
    Column("page", pa.int64(), False, "", "identity of the mapped page (pfn or a dense number), >= 0"),
    Column("bytes", pa.int32(), True, "bytes", "bytes copied; null where unknown"),
    Column(
        "think_ns", pa.int64(), False, "ns",
        "CPU time the task used since its previous operation ended (nested: since the enclosing map or "
        "the previous nested unmap)",
    ),
    Column("wait_ns", pa.int64(), False, "ns", "time the task was off CPU since then (I/O, idle)"),
    Column(
        "hold_ns", pa.int64(), False, "ns",
        "CPU time the mapping was in use, nested operations' think and hold included",
    ),
    Column(
        "block_ns", pa.int64(), False, "ns",
        "time off CPU while the mapping was held, nested operations' wait and block included",
    ),
    Column(
        "depth", pa.int8(), False, "",
        "0 outermost; d > 0: begins and ends inside the task's mapping of depth d-1",
    ),
)  # fmt: skip

COLUMN_NAMES = tuple(column.name for column in COLUMNS)
ARROW_SCHEMA = pa.schema([pa.field(c.name, c.type, c.nullable) for c in COLUMNS])


class Source(BaseModel):
    """Where a trace came from: a workload spec and seed, or a recorder and the kernel it recorded."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["synthetic", "recorded"]
    name: str = Field(description="workload or recording name")
    description: str = ""
    spec_sha256: str | None = None
    seed: int | None = None
    recorder: str | None = None
    kernel: str | None = None
    file: str | None = Field(None, description="name of the file that was imported, without its directory")
    file_sha256: str | None = None


class Transformation(BaseModel):
    """One step of `pipeline transform` that a trace went through."""

    model_config = ConfigDict(extra="forbid")

    source_sha256: str = Field(description="SHA-256 of the file that this step's command was given")
    step: str = Field(description="the step with all its parameters, as the command takes it")
    operations_before: int = Field(description="operations of the trace that the step was applied to")


class TraceMetadata(BaseModel):
    """What a trace says of itself, stored as JSON in the Parquet footer under `pipeline.trace`.

    Counts are numbers of distinct ids except `pages`, which is 1 + the largest page number. `columns`
    gives each column's provenance; a column marked absent holds null, or where null is not allowed, 0 and
    no meaning. `lost_events` is null where the recorder could not tell.
    """

    model_config = ConfigDict(extra="forbid")

    format_version: int = FORMAT_VERSION
    source: Source
    operations: int
    tasks: int
    processes: int
    pages: int
    cpus: int | None = Field(None, description="CPUs of the recorded machine; null where unknown")
    columns: dict[str, Provenance]
    lost_events: int | None = None
    losses: dict[str, int] = Field(
        default_factory=dict,
        description="what the recording lacks, counted by name; empty: nothing is known to be missing",
    )
    clock: str = Field(description="clock of the recording and its resolution")
    notes: list[str] = Field(default_factory=list, description="what a reader of results must know")
    transformations: list[Transformation] = Field(
        default_factory=list, description="what was done to the trace since it was made, in order"
    )
