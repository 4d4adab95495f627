"""What a run consists of: the tables of its event log and its manifest, each column documented here.

The numpy record types are what the simulator fills. The Parquet files hold the same columns in fewer bits;
each column says here how (`Stored`), and the SQL views give back what the simulator filled in. -1 in a column
that names a slot, task, CPU or operation means "none"; the views turn it into NULL.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pipeline.schema.trace import KINDS, Column

RUN_FORMAT_VERSION = 2
MANIFEST_FILE = "manifest.json"
SWEEP_FILE = "sweep.json"
# What the log adds up to: a Parquet file for each view that need not read the log then.
SUMS_FOLDER = "sums"

# Blocks of equally many rows that a trace is cut into for sums by its progress: a number of many divisors.
TRACE_BLOCKS = 600

# How an operation's mapping was served; the position is the code.
SERVED = (
    "hit",       # the page was mapped already
    "miss",      # a slot was taken and its PTE written
    "direct",    # the page needs no temporary mapping
    "fallback",  # the design's first way failed and its second one served
)  # fmt: skip

# Lock sites: which side of an operation held the lock; the position is the code.
SITES = ("map", "unmap")

# Where a CPU's time went; the position is the code. Their sum is the wall time, exactly, for each CPU.
CPU_CATEGORIES = {
    "idle": "no task to run",
    "compute": "the task's own work between operations (think_ns)",
    "in_use": "the mapping was in use (hold_ns), with the page-table walks its first touches need",
    "critical": "map and unmap code, with its lock or, where the design has none, without",
    "scan": "looking through slots for those that can be freed",
    "spin": "waiting for a lock",
    "flush": "flushing the own TLB, sending IPIs and waiting for the slowest CPU to answer",
    "interrupted": "answering another CPU's flush, TLB refill included, and device or timer interrupts",
    "switch": "context switches and wake-ups",
}

# Event kinds of events.parquet; the position is the code. For each: its meaning, then what slot, value and
# other hold (None: -1). duration_ns is 0 where an event has no length.
EVENT_KINDS: dict[str, tuple[str, str | None, str | None, str | None]] = {
    "scan": ("a pass over the slots", None, "slots scanned", "slots freed"),
    "flush": (
        "global or directed TLB flush: from the first IPI to the slowest answer",
        None, "CPUs interrupted", None,
    ),
    "ipi": ("this CPU answered a flush; duration is the time stolen from it", None, None, "initiating CPU"),
    "local_flush": ("this CPU flushed its whole TLB", None, None, None),
    "sleep": (
        "asleep for a slot: from leaving the CPU to being woken", None, "wait queue", "task that woke it",
    ),
    "wake": ("woke the tasks of a wait queue", None, "tasks woken", "wait queue"),
    "pin_wait": (
        "ready, but pinned to a CPU that ran another task: from ready to running",
        None, "CPUs idle when it became ready", None,
    ),
    "switch": ("context switch to `task`", None, None, "task that left"),
    "relock": (
        "a lock was taken again within one map or unmap: time is when it was got, duration is the hold; "
        "`lock`, `site` and `wait_ns` tell the rest",
        None, None, "task that held it longest during the wait",
    ),
    "fallback": ("the design's second way was taken", None, None, None),
    "finding": ("a hazard was met; value is the position in FINDINGS", "slot", "finding code", "task"),
}  # fmt: skip

# Hazards; the position is the code. The engine looks for deadlock, stale translations, starvation and
# sleeping where a design has forbidden it; when a run has ended, a design's `check` looks for broken
# invariants and its `lost_wakeups` for lost wake-ups; allocators report the others with
# `report_finding`.
FINDINGS = {
    "deadlock": "tasks sleep for slots that only sleeping tasks hold",
    "stale_translation": "a CPU used a slot through a TLB entry that an earlier mapping left",
    "count_underflow": "an unmap of a slot that nobody has mapped",
    "lost_wakeup": "a task was left asleep beside a slot it could have had",
    "starvation": "a waiter was passed over more than the set number of times",
    "nesting_overflow": "more nested maps than the design has room for",
    "unmap_out_of_order": "maps were not undone in reverse order",
    "sleep_while_atomic": "a task slept while it held a map that forbids it",
    "invariant": "the design's own check of its state failed",
}


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

# What a run can keep of its log, and the tables that this is.
Events = Literal["full", "stretches", "none"]
KEPT_TABLES: dict[Events, tuple[str, ...]] = {
    "full": ("operations", "events"),
    "stretches": ("operations", "events", "stretches"),
    "none": (),
}


def _record_type(columns: tuple[LogColumn, ...]) -> np.dtype:
    def numpy_type(column: Column) -> Any:
        dictionary = pa.types.is_dictionary(column.type)
        return (column.type.index_type if dictionary else column.type).to_pandas_dtype()

    return np.dtype([(c.name, numpy_type(c)) for c in columns], align=True)


OPERATION_RECORD = _record_type(OPERATIONS)
EVENT_RECORD = _record_type(EVENTS)
STRETCH_RECORD = _record_type(STRETCHES)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LockTotals(_Strict):
    """One lock site over the whole run: the sums a lockmeter row is made of."""

    site: Literal["map", "unmap"]
    acquisitions: int = Field(description="relocks included")
    contended: int = Field(description="acquisitions that found the lock busy")
    hold_ns: int = Field(description="sum of holds")
    hold_max_ns: int
    wait_ns: int = Field(description="sum of spins of contended acquisitions")
    wait_max_ns: int


class CpuTime(_Strict):
    """Where one CPU's time went; the categories add up to the wall time exactly."""

    cpu: int
    idle_ns: int
    compute_ns: int
    in_use_ns: int
    critical_ns: int
    scan_ns: int
    spin_ns: int
    flush_ns: int
    interrupted_ns: int
    switch_ns: int


class Totals(_Strict):
    """What a run adds up to; counted by the simulator, so it is there without a log too."""

    wall_ns: int = Field(description="when the last operation was done")
    operations: int = Field(description="operations completed")
    hits: int
    misses: int
    fallbacks: int
    probed: int = Field(description="slots looked at in search of a free one")
    scans: int = Field(description="passes over the slots")
    scanned: int = Field(description="slots passed over by scans")
    freed: int = Field(description="slots that scans freed")
    flushes: int = Field(description="global or directed TLB flushes")
    ipis: int = Field(description="CPUs interrupted by flushes")
    local_flushes: int = Field(description="single addresses invalidated on the own CPU")
    full_local_flushes: int = Field(description="whole-TLB flushes of the own CPU alone")
    sleeps: int
    asleep_ns: int
    sleep_max_ns: int
    wakes: int = Field(description="times a wait queue with sleepers was woken")
    woken: int = Field(description="tasks woken")
    pin_waits: int
    pin_wait_ns: int
    switches: int
    migrations: int = Field(description="times a task ran on another CPU than the time before")
    walks: int = Field(description="page-table walks at first touches of a mapping on a CPU")
    map_ns: int = Field(description="sum over operations of the time from asking to mapped")
    map_max_ns: int
    max_mapped: int = Field(description="most mappings in force at once")
    locks: list[LockTotals]
    cpu_time: list[CpuTime]


def is_assumed(source: str) -> bool:
    """Whether the source of a price is the word "assumed", perhaps with reasons."""
    return source.strip().lower().startswith("assumed")


class Cost(_Strict):
    """One price or property of the machine, with where it comes from."""

    value: int | float | str | bool
    unit: str
    source: str = Field(description='publication or measurement, or the word "assumed"')
    doc: str = ""

    @property
    def assumed(self) -> bool:
        """Whether nobody has published or measured it."""
        return is_assumed(self.source)


class Finding(_Strict):
    """A hazard that the run met."""

    finding: str
    time_ns: int
    message: str
    tasks: list[int] = Field(default_factory=list)
    slots: list[int] = Field(default_factory=list)


class TraceReference(_Strict):
    """Which trace was replayed."""

    name: str
    path: str
    sha256: str
    metadata: dict[str, Any] = Field(description="the trace's own metadata, see TraceMetadata")


class AllocatorPart(_Strict):
    """One of several designs that shared a run."""

    name: str
    summary: str
    source_sha256: str
    kinds: list[str] = Field(description="kinds of operation that it served")
    options: dict[str, int | str | bool]
    first_slot: int = Field(description="number in the log of its slot 0")
    address_space_pages: int
    page_struct_bytes: int


class AllocatorReference(_Strict):
    """Which design was replayed, with every option's value.

    Of several designs, `name` joins theirs by +, and an option's name begins with its design's.
    """

    name: str
    summary: str
    source_sha256: str
    options: dict[str, int | str | bool]
    address_space_pages: int = Field(description="kernel address space the design's slots take, in pages")
    page_struct_bytes: int = Field(description="bytes the design needs in every struct page")
    bound: str = Field("", description="what it bounds, if it is a bound for charts and no design to be had")
    parts: list[AllocatorPart] = Field(
        default_factory=list, description="the designs, where kinds of operation were served by several"
    )


class Fit(_Strict):
    """What the fitted costs of a machine were fitted to: everything else is a prediction."""

    to: str = Field(description="the measurements, with their source")
    cpus: int = Field(ge=1, description="CPUs of the machine that was measured")
    workload: str
    allocators: list[str]


class MachineReference(_Strict):
    """Which machine was simulated, with every cost."""

    name: str
    summary: str
    cpus: int
    costs: dict[str, Cost]
    fit: Fit | None = Field(None, description="what it was fitted to; null if nothing of it is fitted")


class Execution(_Strict):
    """What making the run took here; the only part that differs between two equal runs."""

    started: str
    elapsed_s: float
    engine_s: float
    peak_memory_mb: float
    backlog_rows: int = Field(description="most rows read but not yet due")
    compiled: bool


class Manifest(_Strict):
    """manifest.json: everything that determined the result, and what came out."""

    format_version: int = RUN_FORMAT_VERSION
    id: str = Field(description="hash of everything that determines the result")
    label: str = Field(description="short name for charts: the allocator with its changed options")
    command: str
    trace: TraceReference
    allocator: AllocatorReference
    machine: MachineReference
    seed: int
    jitter_percent: float = Field(
        0.0, description="think and wait times of the trace were scaled at random by up to so much, +-"
    )
    loop: Literal["closed", "timed"]
    events: Events
    tables: dict[str, list[str]] = Field(
        default_factory=dict,
        description="files of each table of the log; `wide_...`: of its rows that need more bits",
    )
    lowmem: list[str] = Field(
        default_factory=list, description="kinds whose pages lie in low memory and needed no mapping"
    )
    versions: dict[str, str]
    totals: Totals
    findings: list[Finding]
    fingerprint: str = Field(description="hash of the event log, the same on every machine")
    execution: Execution

    @property
    def log_files(self) -> dict[str, list[str]]:
        """Files of each table of the log, none without one; format version 1 had two and did not say so."""
        if self.events == "none" or self.tables:
            return self.tables
        return {name: [f"{name}.parquet"] for name in ("operations", "events")}
