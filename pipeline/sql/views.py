"""The tables and views that SQL sees, each column documented where it is defined.

A recording of the kernel's own pool may stand beside the runs: a column is then NULL, never 0, where the
recording does not have the fact.

Two kinds: tables filled from the runs' manifests (so that runs without a log are in them too), and views over
the Parquet tables of the event logs. Every one has a column `run`, the run's name, unique in the session; but
not `results`, which is made from what sweeps note of their runs.

What is made from other views is a file of `definitions/views/` each, found there:

    -- view: what a row is
    -- column: name type (unit); meaning
    -- kept: it makes of a whole log what is smaller by far, so that a session makes it once
    -- summed: a run may have it in its sums, so that its log need not be read
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

    `sql` makes it from other views; None: the session fills it from manifests or from Parquet files. `kept`
    says that it makes of a whole log what is smaller by far: a session makes it once, when a query first
    mentions it. Where runs have a `summed` one in their sums (`runs.sums`), it is read there.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    sql: str | None = None
    kept: bool = False
    summed: bool = False


def _col(name: str, type_: pa.DataType, unit: str, doc: str) -> Column:
    return Column(name, type_, True, unit, doc)


RUN = _col("run", TEXT, "", "the run's name: its label, with what tells it apart where labels are equal")


def _totals() -> tuple[Column, ...]:
    """One column for each scalar of the manifest's totals."""
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
    "one row per run: what was replayed on what, and every total; runs without a log included",
    (
        RUN,
        _col(
            "provenance",
            TEXT,
            "",
            "simulated, or recorded: a real kernel's own pool, with what of it was recorded; its durations "
            "are those of the machine it ran on, an emulated one for the shipped recordings",
        ),
        _col("id", TEXT, "", "hash of everything that determines the result"),
        _col("directory", TEXT, "", "where the run lies"),
        _col("label", TEXT, "", "short name: the allocator with its changed options"),
        _col("allocator", TEXT, "", "design"),
        _col("options", TEXT, "", "the design's options as JSON"),
        _col("machine", TEXT, "", "machine profile; of a recording, what is known of its machine"),
        _col("cpus", INT, "", "CPUs simulated; of a recording, 1 + the largest number seen"),
        _col("trace", TEXT, "", "name of the trace"),
        _col("trace_sha256", TEXT, "", "hash of the trace"),
        _col("loop", TEXT, "", "closed (delays propagate) or timed (operations start by the trace's clock)"),
        _col("seed", BIG, "", "seed of what is left to chance: unfair locks, device interrupts, jitter"),
        _col("jitter_percent", REAL, "%", "think and wait times were scaled at random by up to so much, +-"),
        _col("events", TEXT, "", "full: there is a log; none: totals only"),
        _col("command", TEXT, "", "command that made the run"),
        *TOTALS,
        _col("address_space_pages", BIG, "pages", "kernel address space that the design's slots take"),
        _col("page_struct_bytes", BIG, "bytes", "bytes the design needs in every struct page"),
        _col("findings", BIG, "", "hazards the run met"),
        _col("fingerprint", TEXT, "", "hash of the event log, the same on every machine"),
        _col("elapsed_s", REAL, "s", "real time that making the run took"),
    ),
)

RESULTS = View(
    "results",
    "one row per run of the sweeps, of each its factors, what became of it and every total; a factor within "
    "options, costs or workload that varies has a column of its own too",
    (
        _col("sweep", TEXT, "", "directory of the sweep"),
        _col("directory", TEXT, "", "where the run lies, as in `runs`"),
        *SWEEP_RESULTS,
    ),
)

CPU_TIME = View(
    "cpu_time",
    "where each CPU's time went, from the manifests; for each CPU the categories add up to the wall time",
    (
        RUN,
        _col("cpu", INT, "", "CPU"),
        _col("category", TEXT, "", "; ".join(f"{name}: {doc}" for name, doc in CPU_CATEGORIES.items())),
        _col("ns", BIG, "ns", "time spent on it"),
    ),
)

LOCK_TOTALS = View(
    "lock_totals",
    "one row per run and lock site, from the manifests: the sums a lockmeter row is made of",
    (
        RUN,
        _col("site", TEXT, "", "side of the operation that held the lock: map or unmap"),
        _col("acquisitions", BIG, "", "times the lock was taken"),
        _col("contended", BIG, "", "acquisitions that found the lock busy"),
        _col("hold_ns", BIG, "ns", "sum of holds"),
        _col("hold_max_ns", BIG, "ns", "longest hold"),
        _col("wait_ns", BIG, "ns", "sum of spins of contended acquisitions"),
        _col("wait_max_ns", BIG, "ns", "longest spin"),
    ),
)

LOCKS = View(
    "locks",
    "one row per lock and site, simulated or measured by a tool on a real machine, in the same columns; of "
    "runs the pool's lock, from the manifests",
    (
        RUN,
        _col("provenance", TEXT, "", "simulated or measured"),
        _col("lock", TEXT, "", "lock or class of locks, as the tool names it; NULL: it does not tell"),
        _col("site", TEXT, "", "all: the sum of the lock's sites; else who took or waited for it"),
        _col("type", TEXT, "", "spinlock, mutex, rwsem:R ...; NULL: the tool does not tell"),
        *FIGURES,
        _col("place", INT, "", "of measured locks, the place in their table by time waited, from 1"),
        _col(
            "derived",
            TEXT,
            "",
            "of what was measured, the columns that follow from others and were not printed by the tool",
        ),
    ),
)

LOCK_SOURCES = View(
    "lock_sources",
    "one row per table of measured locks: where it is from, and what it lacks",
    (
        RUN,
        _col("file", TEXT, "", "where it was read"),
        _col("recorder", TEXT, "", "tool that measured"),
        _col("locks", BIG, "", "how many rows it has in `locks`"),
        _col("lacking", TEXT, "", "what was lost or could not be read, with counts"),
        _col("notes", TEXT, "", "what else is to be known of it"),
    ),
)

FINDINGS = View(
    "findings",
    "hazards that the runs met, from the manifests",
    (
        RUN,
        _col("finding", TEXT, "", "hazard"),
        _col("time_ns", BIG, "ns", "when it was met"),
        _col("message", TEXT, "", "what happened"),
        _col("tasks", TEXT, "", "tasks concerned, as a JSON list"),
        _col("slots", TEXT, "", "slots concerned, as a JSON list"),
    ),
)

COSTS = View(
    "costs",
    "every cost and property of the simulated machines, from the manifests",
    (
        RUN,
        _col("machine", TEXT, "", "machine profile"),
        _col("cost", TEXT, "", "name of the cost"),
        _col("value", TEXT, "", "its value, as text"),
        _col("unit", TEXT, "", "its unit"),
        _col("source", TEXT, "", "publication or measurement, or the word assumed"),
        _col("meaning", TEXT, "", "what it prices"),
    ),
)

OPERATIONS_VIEW = View(
    "operations",
    "one row per mapping operation of the runs that have a log",
    _log_columns(OPERATIONS, "operations"),
)

EVENTS_VIEW = View(
    "events",
    "everything that is not once per operation: " + ", ".join(EVENT_KINDS),
    _log_columns(EVENTS, "events"),
)

STRETCHES_VIEW = View(
    "stretches",
    "what each CPU did from when to when, of runs made with --events stretches: from its first row to its "
    "last, a CPU's rows follow one another without a gap, and they add up to `cpu_time`",
    _log_columns(STRETCHES, "stretches"),
)

_COLUMN = re.compile(r"(\w+) (\w+)(?: \((\w+)\))?; (.+)")


def _column(line: str) -> Column:
    """Read `name type (unit); meaning`."""
    parts = _COLUMN.fullmatch(line)
    assert parts, line
    return _col(parts[1], pa.type_for_alias(parts[2]), parts[3] or "", parts[4])


# In the order in which they are made: a view comes after those that it reads.
VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        RUNS,
        CPU_TIME,
        LOCK_TOTALS,
        LOCKS,
        LOCK_SOURCES,
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
