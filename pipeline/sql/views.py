"""The tables and views of SQL, each column documented where it is defined.

A session may also have recordings of the kernel's own pool. A column is NULL, never 0, if the recording lacks
the fact.

There are tables filled from the runs' manifests, which include runs without a log, and views over the Parquet
tables of the logs. Each has a column `run`, the run's name, unique in the session, except `results`, which is
made from the journals of sweeps.

Each view over other views is a file in `definitions/views/`:

    -- view: what a row is
    -- column: name type (unit); meaning
    -- kept: it is far smaller than the log, so a session computes it once
    -- summed: a run may have it in its sums, so its log need not be read
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from pipeline.schema.locks import FIGURES
from pipeline.schema.log import EVENTS, OPERATIONS, STRETCHES
from pipeline.schema.manifest import Totals
from pipeline.schema.names import CPU_CATEGORIES, EVENT_KINDS
from pipeline.schema.trace import Column
from pipeline.sql.header import read_definitions
from pipeline.sweeps.results import RESULTS as SWEEP_RESULTS

TEXT, BIG, INT, SMALL = pa.string(), pa.int64(), pa.int32(), pa.int16()
REAL, FLAG = pa.float64(), pa.bool_()


@dataclass(frozen=True)
class View:
    """A documented table or view.

    `sql` defines it over other views; None: the session fills it from manifests or Parquet files. A `kept`
    view is far smaller than the log; a session computes it once, when a query first mentions it. A `summed`
    view is read from the sums of runs that have it (`runs.sums`).
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    sql: str | None = None
    kept: bool = False
    summed: bool = False


def _col(name: str, type_: pa.DataType, unit: str, doc: str) -> Column:
    return Column(name, type_, True, unit, doc)


RUN = _col(
    "run", TEXT, "", "name of the run: its label, with the settings that distinguish runs of the same label"
)


def _totals() -> tuple[Column, ...]:
    """Return a column for each scalar of the manifest's totals."""
    return tuple(
        _col(name, BIG, "ns" if name.endswith("_ns") else "", field.description or name.replace("_", " "))
        for name, field in Totals.model_fields.items()
        if field.annotation is int
    )


TOTALS = _totals()


def _log_columns(columns: tuple[Column, ...], table: str) -> tuple[Column, ...]:
    return (
        RUN,
        *(
            _col(c.name, TEXT if pa.types.is_dictionary(c.type) else c.type, c.unit,
                 c.doc.replace("-1", "NULL"))
            for c in columns
        ),
    )  # fmt: skip


RUNS = View(
    "runs",
    "one row per run, with its settings and all totals, including runs without a log",
    (
        RUN,
        _col(
            "provenance",
            TEXT,
            "",
            "simulated, or recorded (a real kernel's own pool); recorded durations are those of the recorded "
            "machine, which is emulated for the shipped recordings",
        ),
        _col("id", TEXT, "", "hash of everything that determines the result"),
        _col("directory", TEXT, "", "directory of the run"),
        _col("label", TEXT, "", "short name: the design with its changed options"),
        _col("allocator", TEXT, "", "design"),
        _col("options", TEXT, "", "the design's options as JSON"),
        _col("machine", TEXT, "", "machine profile; for a recording, a description of its machine"),
        _col("cpus", INT, "", "number of CPUs; for a recording, 1 + the largest CPU number in it"),
        _col("trace", TEXT, "", "name of the trace"),
        _col("trace_sha256", TEXT, "", "hash of the trace"),
        _col("loop", TEXT, "", "closed (delays propagate) or timed (operations start at recorded times)"),
        _col("seed", BIG, "", "seed of random draws: unfair locks, device interrupts, jitter"),
        _col("jitter_percent", REAL, "%", "largest random change of think and wait times"),
        _col("events", TEXT, "", "full: the run has a log; none: totals only"),
        _col("command", TEXT, "", "command that made the run"),
        *TOTALS,
        _col("address_space_pages", BIG, "pages", "kernel address space of the design's slots"),
        _col("page_struct_bytes", BIG, "bytes", "bytes that the design needs in every struct page"),
        _col("findings", BIG, "", "number of hazards in the run"),
        _col("fingerprint", TEXT, "", "hash of the log, the same on every machine"),
        _col("elapsed_s", REAL, "s", "wall-clock time of the replay"),
    ),
)

RESULTS = View(
    "results",
    "one row per run of the sweeps, with its factors, state and all totals; a varying factor within "
    "options, costs or workload also has its own column",
    (
        _col("sweep", TEXT, "", "directory of the sweep"),
        _col("directory", TEXT, "", "directory of the run, as in `runs`"),
        *SWEEP_RESULTS,
    ),
)

CPU_TIME = View(
    "cpu_time",
    "CPU time by category, from the manifests; the categories of a CPU add up to the simulated time",
    (
        RUN,
        _col("cpu", INT, "", "CPU"),
        _col("category", TEXT, "", "; ".join(f"{name}: {doc}" for name, doc in CPU_CATEGORIES.items())),
        _col("ns", BIG, "ns", "CPU time in this category"),
    ),
)

LOCK_TOTALS = View(
    "lock_totals",
    "one row per run and lock site, from the manifests: the sums behind a lockmeter row",
    (
        RUN,
        _col("site", TEXT, "", "side of the operation that held the lock: map or unmap"),
        _col("acquisitions", BIG, "", "number of acquisitions"),
        _col("contended", BIG, "", "number of contended acquisitions"),
        _col("hold_ns", BIG, "ns", "sum of hold times"),
        _col("hold_max_ns", BIG, "ns", "longest hold"),
        _col("wait_ns", BIG, "ns", "sum of wait times of contended acquisitions"),
        _col("wait_max_ns", BIG, "ns", "longest spin"),
    ),
)

LOCKS = View(
    "locks",
    "one row per lock and site, simulated or measured by a tool on a real machine, in the same columns; "
    "for runs, the pool's lock, from the manifests",
    (
        RUN,
        _col("provenance", TEXT, "", "simulated or measured"),
        _col("lock", TEXT, "", "lock or class of locks, named by the tool; NULL: not reported"),
        _col("site", TEXT, "", "all: the sum of the lock's sites; else the code that took or waited for it"),
        _col("type", TEXT, "", "spinlock, mutex, rwsem:R ...; NULL: not reported by the tool"),
        *FIGURES,
        _col("place", INT, "", "for measured locks, the rank in their table by wait time, from 1"),
        _col(
            "derived",
            TEXT,
            "",
            "for measured locks, the columns that were derived and not printed by the tool",
        ),
    ),
)

LOCK_SOURCES = View(
    "lock_sources",
    "one row per table of measured locks: its source, and what it lacks",
    (
        RUN,
        _col("file", TEXT, "", "file of the table"),
        _col("recorder", TEXT, "", "measuring tool"),
        _col("locks", BIG, "", "number of its rows in `locks`"),
        _col("lacking", TEXT, "", "losses and unreadable parts, with counts"),
        _col("notes", TEXT, "", "further notes"),
    ),
)

LOCK_CLASSES = View(
    "lock_classes",
    "one row per lock of designs that name their locks, from the manifests",
    (
        RUN,
        _col("lock", INT, "", "number of the lock"),
        _col("name", TEXT, "", "what it protects"),
    ),
)

FINDINGS = View(
    "findings",
    "hazards in the runs, from the manifests",
    (
        RUN,
        _col("finding", TEXT, "", "hazard"),
        _col("time_ns", BIG, "ns", "time of the hazard"),
        _col("message", TEXT, "", "what happened"),
        _col("tasks", TEXT, "", "affected tasks, as a JSON list"),
        _col("slots", TEXT, "", "affected slots, as a JSON list"),
    ),
)

COSTS = View(
    "costs",
    "every cost and property of the simulated machines, from the manifests",
    (
        RUN,
        _col("machine", TEXT, "", "machine profile"),
        _col("cost", TEXT, "", "name of the cost"),
        _col("value", TEXT, "", "value of the cost, as text"),
        _col("unit", TEXT, "", "its unit"),
        _col("source", TEXT, "", 'publication or measurement, or "assumed"'),
        _col("meaning", TEXT, "", "meaning of the cost"),
    ),
)

OPERATIONS_VIEW = View(
    "operations",
    "one row per mapping operation, for runs with a log",
    _log_columns(OPERATIONS, "operations"),
)

EVENTS_VIEW = View(
    "events",
    "events that do not occur exactly once per operation: " + ", ".join(EVENT_KINDS),
    _log_columns(EVENTS, "events"),
)

STRETCHES_VIEW = View(
    "stretches",
    "activity of each CPU over time, for runs made with --events stretches; from the first to the last, "
    "the rows of a CPU have no gaps, and they add up to `cpu_time`",
    _log_columns(STRETCHES, "stretches"),
)

_COLUMN = re.compile(r"(\w+) (\w+)(?: \((\w+)\))?; (.+)")


def _column(line: str) -> Column:
    """Parse `name type (unit); meaning`."""
    parts = _COLUMN.fullmatch(line)
    assert parts, line
    return _col(parts[1], pa.type_for_alias(parts[2]), parts[3] or "", parts[4])


# In the order of creation: a view follows those that it reads.
VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        RUNS,
        CPU_TIME,
        LOCK_TOTALS,
        LOCKS,
        LOCK_SOURCES,
        LOCK_CLASSES,
        FINDINGS,
        COSTS,
        RESULTS,
        OPERATIONS_VIEW,
        EVENTS_VIEW,
        STRETCHES_VIEW,
    )
} | {
    name: View(
        name,
        header["view"][0],
        (RUN, *map(_column, header["column"])),
        sql,
        bool(header["kept"]),
        bool(header["summed"]),
    )
    for name, header, sql in read_definitions("views", "view", "column", "kept", "summed")
}
