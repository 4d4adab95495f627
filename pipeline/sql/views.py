"""The tables and views that SQL sees, each column documented where it is defined.

A recording of the kernel's own pool may stand beside the runs: a column is then NULL, never 0, where the
recording does not have the fact.

Two kinds: tables filled from the runs' manifests (so that runs without a log are in them too), and views over
the Parquet tables of the event logs. Every one has a column `run`, the run's name, unique in the session.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from pipeline.schema.run import CPU_CATEGORIES, EVENT_KINDS, EVENTS, OPERATIONS, Column, Totals

TEXT, BIG, INT, SMALL = pa.string(), pa.int64(), pa.int32(), pa.int16()
REAL, FLAG = pa.float64(), pa.bool_()

# Columns of the log in which -1 means "none".
NONE_AS_NULL = {
    "operations": ("locked_ns", "flush_op", "slot", "holder"),
    "events": ("op", "value", "task", "slot", "other"),
}


@dataclass(frozen=True)
class View:
    """A documented table or view.

    `sql` makes it from other views; None: the session fills it from manifests or from Parquet files. `kept`
    says that it makes of a whole log what is smaller by far: a session makes it once, when a query first
    mentions it.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    sql: str | None = None
    kept: bool = False


def _col(name: str, type_: pa.DataType, unit: str, doc: str, nullable: bool = False) -> Column:
    return Column(name, type_, nullable, unit, doc)


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
    nulls = NONE_AS_NULL[table]
    return (
        RUN,
        *(
            _col(c.name, TEXT if pa.types.is_dictionary(c.type) else c.type, c.unit,
                 c.doc.replace("-1", "NULL"), c.name in nulls)
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
        _col("seed", BIG, "", "seed of the machine's randomness"),
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

LOCK_HOLDS = View(
    "lock_holds",
    "one row per acquisition of a lock: of each map, of each unmap, and each time one of them took it again",
    (
        RUN,
        _col("site", TEXT, "", "map or unmap"),
        _col("op", BIG, "", "operation", True),
        _col("task", INT, "", "task that held it", True),
        _col("cpu", SMALL, "", "CPU it ran on"),
        _col("time_ns", BIG, "ns", "when it got the lock"),
        _col("hold_ns", BIG, "ns", "how long it held it"),
        _col("relock", FLAG, "", "whether this map or unmap had held the lock before"),
    ),
    """
    SELECT run, 'map' AS site, op, task, cpu_map AS cpu, locked_ns AS time_ns, map_hold_ns AS hold_ns,
        false AS relock
    FROM operations WHERE map_hold_ns > 0
    UNION ALL
    SELECT run, 'unmap', op, task, cpu_unmap, unmap_asked_ns + unmap_wait_ns, unmap_hold_ns, false
    FROM operations WHERE unmap_hold_ns > 0
    UNION ALL
    SELECT run, CASE slot WHEN 0 THEN 'map' ELSE 'unmap' END, op, task, cpu, time_ns, duration_ns, true
    FROM events WHERE event = 'relock'
    """,
)

LOCK_WAITS = View(
    "lock_waits",
    "one row per contended acquisition: the spin before the lock was got",
    (
        RUN,
        _col("site", TEXT, "", "map or unmap"),
        _col("op", BIG, "", "operation", True),
        _col("task", INT, "", "task that spun", True),
        _col("kind", TEXT, "", "what asked for the mapping; NULL of a relock", True),
        _col("cpu", SMALL, "", "CPU it spun on"),
        _col("time_ns", BIG, "ns", "when the spin began"),
        _col("wait_ns", BIG, "ns", "how long it spun"),
        _col("holder", INT, "",
             "task that held the lock longest meanwhile; known for an operation's longest wait", True),
        _col("flush_op", BIG, "", "operation whose flush under the lock it waited for longest; likewise",
             True),
        _col("relock", FLAG, "", "whether this map or unmap had held the lock before"),
    ),
    """
    SELECT run, 'map' AS site, op, task, kind, cpu_map AS cpu, locked_ns - map_wait_ns AS time_ns,
        map_wait_ns AS wait_ns, CASE WHEN map_wait_ns >= unmap_wait_ns THEN holder END AS holder,
        CASE WHEN map_wait_ns >= unmap_wait_ns THEN flush_op END AS flush_op, false AS relock
    FROM operations WHERE map_wait_ns > 0
    UNION ALL
    SELECT run, 'unmap', op, task, kind, cpu_unmap, unmap_asked_ns, unmap_wait_ns,
        CASE WHEN unmap_wait_ns > map_wait_ns THEN holder END,
        CASE WHEN unmap_wait_ns > map_wait_ns THEN flush_op END, false
    FROM operations WHERE unmap_wait_ns > 0
    UNION ALL
    SELECT run, CASE slot WHEN 0 THEN 'map' ELSE 'unmap' END, op, task, NULL, cpu, time_ns - value, value,
        other, NULL, true
    FROM events WHERE event = 'relock' AND value > 0
    """,
    kept=True,
)  # fmt: skip


def _event_view(
    name: str,
    event: str,
    doc: str,
    duration: str,
    value: tuple[str, str],
    other: tuple[str, str] | None,
    kept: bool = True,
) -> View:
    columns = [
        RUN,
        _col("time_ns", BIG, "ns", "when it began"),
        _col("duration_ns", BIG, "ns", duration),
        _col("cpu", SMALL, "", "CPU it happened on"),
        _col("task", INT, "", "task it happened to", True),
        _col("op", BIG, "", "operation in whose course it happened", True),
        _col(value[0], BIG, "", value[1], True),
    ]
    chosen = f"run, time_ns, duration_ns, cpu, task, op, value AS {value[0]}"
    if other:
        columns.append(_col(other[0], INT, "", other[1], True))
        chosen += f", other AS {other[0]}"
    return View(name, doc, tuple(columns), f"SELECT {chosen} FROM events WHERE event = '{event}'", kept)


FLUSHES = _event_view(
    "flushes", "flush", "one row per global or directed TLB flush",
    "from the first IPI to the slowest answer", ("cpus_interrupted", "CPUs that had to answer"), None,
)  # fmt: skip
SCANS = _event_view(
    "scans", "scan", "one row per pass over the slots", "how long the pass took",
    ("scanned", "slots passed over"), ("freed", "slots that became free"),
)  # fmt: skip
SLEEPS = _event_view(
    "sleeps", "sleep", "one row per sleep for a slot", "from leaving the CPU to being woken",
    ("queue", "wait queue it slept on"), ("woken_by", "task that woke it; NULL: nobody did"),
)  # fmt: skip
PIN_WAITS = _event_view(
    "pin_waits", "pin_wait", "one row per wait of a ready task for the CPU it was pinned to",
    "from ready to running", ("idle_cpus", "CPUs that were idle when it became ready"), None, kept=False,
)  # fmt: skip


def _histogram(name: str, source: str, value: str, doc: str) -> View:
    return View(
        name,
        f"how often each {doc} occurs, by site: what the macros `quantiles` and `tail` take",
        (
            RUN,
            _col("part", TEXT, "", "site: map or unmap"),
            _col("value", BIG, "ns", f"a {doc}"),
            _col("n", BIG, "", "how many lasted exactly so long"),
        ),
        f"""
    SELECT run, site AS part, {value} AS value, count(*) AS n FROM {source} GROUP BY run, site, {value}
    """,
        kept=True,
    )


HOLD_HISTOGRAM = _histogram("hold_histogram", "lock_holds", "hold_ns", "hold of the lock")
WAIT_HISTOGRAM = _histogram("wait_histogram", "lock_waits", "wait_ns", "wait of a contended acquisition")

TASK_TOTALS = View(
    "task_totals",
    "one row per run, task and kind of operation: what its operations add up to",
    (
        RUN,
        _col("task", INT, "", "thread"),
        _col("kind", TEXT, "", "what asked for the mappings", True),
        _col("operations", BIG, "", "operations completed"),
        _col("hits", BIG, "", "the page was mapped already"),
        _col("misses", BIG, "", "a slot was taken"),
        _col("map_ns", BIG, "ns", "from asking to having the mapping"),
        _col("map_max_ns", BIG, "ns", "longest time from asking to having the mapping"),
        _col("mapped_ns", BIG, "ns", "from having the mapping until it was undone"),
        _col("lock_wait_ns", BIG, "ns", "waits for the first lock of map and unmap", True),
        _col("hold_ns", BIG, "ns", "holds of the first lock of map and unmap", True),
        _col("asleep_ns", BIG, "ns", "time asleep for a slot", True),
        _col("pin_wait_ns", BIG, "ns", "time ready but waiting for the CPU it was pinned to", True),
        _col("scanned", BIG, "slots", "slots passed over by its scans", True),
        _col("sleeps", BIG, "", "sleeps for a slot", True),
        _col("slept", BIG, "", "operations that slept at least once"),
        _col(
            "probed_locked", BIG, "slots", "slots looked at for a free one, of maps that took the lock", True
        ),
        _col("misses_locked", BIG, "", "misses, of maps that took the lock"),
    ),
    """
    SELECT run, task, kind, count(*) AS operations, count(*) FILTER (WHERE served = 'hit') AS hits,
        count(*) FILTER (WHERE served = 'miss') AS misses, sum(mapped_ns - asked_ns) AS map_ns,
        max(mapped_ns - asked_ns) AS map_max_ns, sum(done_ns - mapped_ns) AS mapped_ns,
        sum(map_wait_ns + unmap_wait_ns) AS lock_wait_ns, sum(map_hold_ns + unmap_hold_ns) AS hold_ns,
        sum(asleep_ns) AS asleep_ns, sum(pin_wait_ns) AS pin_wait_ns, sum(scanned) AS scanned,
        sum(sleeps) AS sleeps, count(*) FILTER (WHERE sleeps > 0) AS slept,
        sum(probed) FILTER (WHERE map_hold_ns > 0) AS probed_locked,
        count(*) FILTER (WHERE map_hold_ns > 0 AND served = 'miss') AS misses_locked
    FROM operations
    GROUP BY run, task, kind
    """,
    kept=True,
)

EVENT_LOG = View(
    "event_log",
    "the log line by line, each run in time order: map_asked, lock_wait, lock_hold, hit, miss, direct, "
    "served_by_fallback (mapped: not known how), unmap, and the event kinds of `events` "
    "(relock as lock_wait and lock_hold)",
    (
        RUN,
        _col("time_ns", BIG, "ns", "when it began; of hit, miss and the like: when the mapping was there"),
        _col("event", TEXT, "", "what happened"),
        _col("site", TEXT, "", "map or unmap, of lock_wait and lock_hold", True),
        _col("duration_ns", BIG, "ns", "how long it took"),
        _col("cpu", SMALL, "", "CPU it happened on"),
        _col("task", INT, "", "task it happened to", True),
        _col("op", BIG, "", "operation in whose course it happened", True),
        _col("page", BIG, "", "mapped page, of map_asked, hit, miss and the like, and unmap", True),
        _col("slot", INT, "", "slot concerned", True),
        _col("value", BIG, "", "slots probed, of hit, miss and the like; else the event's quantity", True),
        _col("other", INT, "", "holder of the lock, of lock_wait; else the task or CPU that caused it", True),
    ),
    """
    SELECT run, asked_ns AS time_ns, 'map_asked' AS event, CAST(NULL AS VARCHAR) AS site,
        mapped_ns - asked_ns AS duration_ns, cpu_map AS cpu, task, op, page, CAST(NULL AS INTEGER) AS slot,
        CAST(NULL AS BIGINT) AS value, CAST(NULL AS INTEGER) AS other
    FROM operations
    UNION ALL
    SELECT run, mapped_ns,
        CASE served WHEN 'fallback' THEN 'served_by_fallback' ELSE coalesce(served, 'mapped') END, NULL, 0,
        cpu_map, task, op, page, slot, probed, NULL
    FROM operations
    UNION ALL
    SELECT run, coalesce(unmap_asked_ns, done_ns), 'unmap', NULL, done_ns - unmap_asked_ns, cpu_unmap, task,
        op, page, slot, NULL, NULL
    FROM operations
    UNION ALL
    SELECT run, time_ns, 'lock_wait', site, wait_ns, cpu, task, op, NULL, NULL, NULL, holder FROM lock_waits
    UNION ALL
    SELECT run, time_ns, 'lock_hold', site, hold_ns, cpu, task, op, NULL, NULL, NULL, NULL FROM lock_holds
    UNION ALL
    SELECT run, time_ns, event, NULL, duration_ns, cpu, task, op, NULL, slot, value, other
    FROM events WHERE event <> 'relock'
    ORDER BY run, time_ns, op, duration_ns DESC, event
    """,
)

# In the order in which they are made: a view comes after those that it reads.
VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        RUNS, CPU_TIME, LOCK_TOTALS, FINDINGS, COSTS, OPERATIONS_VIEW, EVENTS_VIEW, LOCK_HOLDS, LOCK_WAITS,
        FLUSHES, SCANS, SLEEPS, PIN_WAITS, HOLD_HISTOGRAM, WAIT_HISTOGRAM,
        TASK_TOTALS, EVENT_LOG,
    )
}  # fmt: skip
