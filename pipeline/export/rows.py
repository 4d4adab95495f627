"""The rows of a timeline in time order, from SQL over one run's log."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from pipeline.export.kinds import IPI_ARROW, KINDS, SLEEPER_ARROW, Kind
from pipeline.sql.session import Session

Window = tuple[int, int]
"""Begin and end of a part of the run, in ns."""

# Rows that are written together: enough that a call of numpy is cheap for each, and some 100 MB at most.
TOGETHER = 131_072

_NUMBERS = max(len(kind.numbers) for kind in KINDS)
_TEXTS = max(len(kind.texts) for kind in KINDS)

# Named row sets that the kinds read beside the views, in an order in which each reads only earlier ones.
SOURCES: dict[str, str] = {
    "switches": "SELECT * FROM events WHERE event = 'switch'",
    "ipis": "SELECT * FROM events WHERE event = 'ipi'",
    "local_flushes": "SELECT * FROM events WHERE event = 'local_flush'",
    "hazards": "SELECT * FROM events WHERE event = 'finding'",
    "wakes": "SELECT op, cpu, task, time_ns, duration_ns, CAST(other AS BIGINT) AS queue, "
    "value AS woken_tasks FROM events WHERE event = 'wake'",
    # Which interrupts a flush sent: those of its operation since, up to the operation's next flush.
    "flushed": f"""
        SELECT f.op, f.cpu, f.time_ns, list(i.id ORDER BY i.id) AS ipis
        FROM (SELECT *, {IPI_ARROW} AS id FROM ipis) AS i
        ASOF JOIN flushes AS f ON i.op = f.op AND i.other = f.cpu AND i.time_ns >= f.time_ns
        GROUP BY ALL
    """,
    "woken": f"""
        SELECT time_ns + duration_ns AS time_ns, woken_by AS task, queue,
            list({SLEEPER_ARROW} ORDER BY task) AS sleepers
        FROM sleeps WHERE woken_by IS NOT NULL GROUP BY ALL
    """,
    # The log has the CPU that mapped; where a task that slept since took the lock first, its switches say.
    "slept": "SELECT * FROM operations WHERE sleeps > 0",
    "first_locked": """
        SELECT o.op, s.cpu FROM (SELECT op, task, locked_ns FROM slept WHERE locked_ns IS NOT NULL) AS o
        ASOF JOIN switches AS s ON o.task = s.task AND o.locked_ns >= s.time_ns
    """,
    "cpu_waits": """
        SELECT w.* REPLACE (coalesce(f.cpu, w.cpu) AS cpu) FROM lock_waits AS w
        LEFT JOIN first_locked AS f ON w.op = f.op AND w.site = 'map' AND NOT w.relock
    """,
    "cpu_holds": """
        SELECT h.* REPLACE (coalesce(f.cpu, h.cpu) AS cpu) FROM lock_holds AS h
        LEFT JOIN first_locked AS f ON h.op = f.op AND h.site = 'map' AND NOT h.relock
    """,
    # A map that slept ran from its asking and from each switch to it, until it fell asleep and had let go of
    # the lock, or was mapped.
    "began": """
        SELECT o.op, o.asked_ns AS begin_ns, s.cpu FROM slept AS o
        ASOF JOIN switches AS s ON o.task = s.task AND o.asked_ns >= s.time_ns
        UNION ALL
        SELECT o.op, s.time_ns + s.duration_ns, s.cpu FROM slept AS o
        JOIN switches AS s ON o.op = s.op AND s.time_ns >= o.asked_ns AND s.time_ns < o.mapped_ns
    """,
    "left_cpu": """
        SELECT b.op, b.begin_ns, max(l.left_ns) AS left_ns
        FROM (
            SELECT op, time_ns, time_ns AS left_ns FROM sleeps
            UNION ALL
            SELECT op, time_ns, time_ns + hold_ns FROM cpu_holds WHERE site = 'map'
        ) AS l
        ASOF JOIN began AS b ON l.op = b.op AND l.time_ns >= b.begin_ns
        GROUP BY ALL
    """,
    "map_stretches": """
        SELECT op, task, cpu_map AS cpu, served, asked_ns AS begin_ns, mapped_ns AS end_ns
        FROM operations WHERE sleeps = 0 AND mapped_ns > asked_ns
        UNION ALL
        SELECT op, o.task, b.cpu, o.served, b.begin_ns,
            CASE WHEN lead(b.begin_ns) OVER (PARTITION BY op ORDER BY b.begin_ns) IS NULL
                THEN o.mapped_ns ELSE coalesce(l.left_ns, b.begin_ns) END
        FROM began AS b JOIN slept AS o USING (op) LEFT JOIN left_cpu AS l USING (op, begin_ns)
    """,
    # A mapping is in use on the CPU from when its task last came back to it: from a nested operation, or
    # from being switched out.
    "came_back": """
        SELECT s.op, max(s.time_ns + s.duration_ns) AS back_ns FROM switches AS s
        JOIN operations AS o ON s.op = o.op AND s.time_ns >= o.mapped_ns GROUP BY s.op
        UNION ALL
        SELECT p.op, max(n.done_ns) FROM (SELECT * FROM operations WHERE depth > 0) AS n
        ASOF JOIN (
            SELECT * FROM operations WHERE task IN (SELECT task FROM operations WHERE depth > 0)
        ) AS p ON p.task = n.task AND p.depth = n.depth - 1 AND n.asked_ns >= p.mapped_ns
        GROUP BY p.op
    """,
    "use_stretches": """
        SELECT o.op, o.task, o.cpu_unmap AS cpu,
            greatest(o.mapped_ns, coalesce(b.back_ns, 0)) AS begin_ns, o.unmap_asked_ns AS end_ns
        FROM operations AS o
        LEFT JOIN (SELECT op, max(back_ns) AS back_ns FROM came_back GROUP BY op) AS b ON o.op = b.op
        WHERE o.unmap_asked_ns > greatest(o.mapped_ns, coalesce(b.back_ns, 0))
    """,
}


def read_rows(session: Session, window: Window | None) -> Iterator[pa.RecordBatch]:
    """Yield every slice and instant of the session's one run that reaches into `window`, by begin.

    Columns: the kind's position in KINDS, lane, begin_ns, end_ns, op, numbers n0 ... and texts t0 ... as the
    kind has them, leads_to, comes_from. Of rows that begin together, the outer come before the inner, and an
    arrow's target after all others. DuckDB sorts them on disk where memory ends.
    """
    sources = ",\n".join(f"{name} AS ({sql})" for name, sql in SOURCES.items())
    rows = "\nUNION ALL\n".join(_select(number, kind) for number, kind in enumerate(KINDS))
    sql = (
        f"WITH {sources}\nSELECT * EXCLUDE (level) FROM (\n{rows}\n) WHERE {reaches_into(window)}\n"
        "ORDER BY begin_ns, comes_from IS NOT NULL, op NULLS FIRST, level, end_ns, kind, lane"
    )
    return session.batches(sql, TOGETHER)


def reaches_into(window: Window | None, begin: str = "begin_ns", end: str = "end_ns") -> str:
    """Return the condition that a row reaches into a window; what only touches its start does not."""
    if window is None:
        return "true"
    return f"{begin} < {window[1]} AND ({end} > {window[0]} OR {begin} >= {window[0]})"


def _select(number: int, kind: Kind) -> str:
    numbers = [*kind.numbers.values()] + ["NULL"] * (_NUMBERS - len(kind.numbers))
    texts = [*kind.texts.values()] + ["NULL"] * (_TEXTS - len(kind.texts))
    columns = [
        (number, "TINYINT", "kind"),
        (kind.lane, "INTEGER", "lane"),
        (kind.begin, "BIGINT", "begin_ns"),
        (kind.end or kind.begin, "BIGINT", "end_ns"),
        (kind.op, "BIGINT", "op"),
        *((sql, "BIGINT", f"n{position}") for position, sql in enumerate(numbers)),
        *((sql, "VARCHAR", f"t{position}") for position, sql in enumerate(texts)),
        (kind.leads_to or "NULL", "UBIGINT[]", "leads_to"),
        (kind.comes_from or "NULL", "UBIGINT", "comes_from"),
        (kind.level, "TINYINT", "level"),
    ]
    chosen = ", ".join(f"CAST({sql} AS {type_}) AS {name}" for sql, type_, name in columns)
    return f"SELECT {chosen} FROM {kind.source}"
