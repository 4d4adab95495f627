"""Rows of one run's log about some operations, fetched by a fixed number of queries."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeVar

from pipeline.explain.attribution import Hold, Pass, Passes, merge
from pipeline.sql.session import Session
from pipeline.sql.views import VIEWS

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class LogFacts:
    """Rows of the log about some operations.

    `operations`, `events`, `waits` (rows of `lock_waits`) and `own_holds` are by operation. `holds` overlap
    these operations' waits for a lock. `passes` are the scans and flushes of all these holds and operations.
    `interrupts`, with the flushing task, are by task. `family` has, by task, the rows nested in or around the
    operations.
    """

    operations: Mapping[int, Row]
    events: Mapping[int, Sequence[Row]]
    waits: Mapping[int, Sequence[Row]]
    own_holds: Mapping[int, Sequence[Hold]]
    holds: Holds
    passes: Passes
    interrupts: Mapping[int, Sequence[Row]]
    family: Mapping[int, Sequence[Row]]


class Holds:
    """Holds, searchable by time."""

    def __init__(self, holds: Iterable[Hold]) -> None:
        """Sort the holds."""
        self._holds = sorted(holds, key=lambda hold: (hold.begin_ns, hold.op))
        self._begins = [hold.begin_ns for hold in self._holds]
        # The time by which this and all earlier holds have ended. It is monotone, for binary search.
        self._over = list(accumulate((hold.end_ns for hold in self._holds), max))

    def between(self, begin_ns: int, end_ns: int) -> list[Hold]:
        """Return the holds that overlap a span of time, in order of time."""
        first, last = bisect_right(self._over, begin_ns), bisect_left(self._begins, end_ns)
        return [hold for hold in self._holds[first:last] if hold.end_ns > begin_ns]


def gather(session: Session, ops: Sequence[int]) -> LogFacts:
    """Fetch the rows about `ops` from the log of the session's only run; missing operations have none."""
    among = _among(ops)
    operations = {row["op"]: row for row in _rows(session, _until_the_end(among))}
    events = _rows(session, f"FROM events WHERE {among} AND event <> 'ipi' ORDER BY time_ns")
    waits = _lock_rows(session, "lock_waits", among, among)
    near = merge((row["time_ns"], row["time_ns"] + row["wait_ns"]) for row in waits)
    holds = _holds(session, _over("asked_ns", "done_ns", near), _over("time_ns", "time_ns + hold_ns", near))
    # A wait and its holds are a single span, as a convoy has thousands of holds.
    spans = merge([*near, *((h.begin_ns, h.end_ns) for h in holds)])
    return LogFacts(
        operations,
        _group(events, lambda row: row["op"]),
        _group(waits, lambda row: row["op"]),
        _group(_holds(session, among, f"{among} AND hold_ns > 0"), lambda hold: hold.op),
        Holds(holds),
        _passes(session, f"({among} OR {_over('time_ns', 'time_ns + duration_ns', spans)})"),
        _interrupts(session, operations.values()),
        _family(session, operations.values()),
    )


def _until_the_end(where: str) -> str:
    """Return the query of operations; a mapping that no row unmapped lasts until the end of the run."""
    return (
        "SELECT o.* REPLACE (coalesce(o.unmap_asked_ns, r.wall_ns) AS unmap_asked_ns, "
        "coalesce(o.done_ns, r.wall_ns) AS done_ns) "
        f"FROM (FROM operations WHERE {where}) AS o INNER JOIN runs AS r ON o.run = r.run"
    )


def slowest(session: Session, count: int) -> list[int]:
    """Return the operations with the longest time from request to mapped, the longest first."""
    sql = f"SELECT op FROM operations ORDER BY mapped_ns - asked_ns DESC, op LIMIT {int(count)}"
    return [row["op"] for row in _rows(session, sql)]


def _lock_rows(session: Session, view: str, operations: str, rows: str) -> list[Row]:
    """Return the rows of a view of locks that meet the condition `rows`.

    The view reads the operations several times; here, only those that meet `operations`.
    """
    return _rows(
        session,
        f"WITH operations AS MATERIALIZED (SELECT * FROM main.operations WHERE {operations}), "
        f"locks AS ({VIEWS[view].sql}) FROM locks WHERE {rows} ORDER BY time_ns",
    )


def _holds(session: Session, operations: str, rows: str) -> list[Hold]:
    return [
        Hold(r["site"], r["op"], r["task"], r["cpu"], r["time_ns"], r["hold_ns"], r["lock"], r["relock"])
        for r in _lock_rows(session, "lock_holds", operations, rows)
    ]


def _passes(session: Session, where: str) -> Passes:
    rows = _rows(
        session,
        "SELECT event, op, task, time_ns, duration_ns, value, other FROM events "
        f"WHERE event IN ('scan', 'flush') AND {where} ORDER BY time_ns, op, event",
    )
    passes = [Pass(*row.values()) for row in rows]
    # Only scans of operations that flushed need their number within the run.
    flushed = {p.op for p in passes if p.event == "flush"}
    scans = [p for p in passes if p.event == "scan" and p.op in flushed]
    wraps = {}
    if scans:
        numbered = _rows(
            session,
            "SELECT op, time_ns, row_number() OVER (ORDER BY time_ns, op) AS wrap FROM events "
            f"WHERE event = 'scan' AND time_ns <= {scans[-1].begin_ns} QUALIFY {_among(flushed)}",
        )
        wraps = {(row["op"], row["time_ns"]): row["wrap"] for row in numbered}
    return Passes(_group(passes, lambda p: p.op), wraps)


def _interrupts(session: Session, operations: Iterable[Row]) -> Mapping[int, list[Row]]:
    lives = sorted({(row["task"], row["asked_ns"], row["done_ns"]) for row in operations})
    where = _any(f"task = {task} AND time_ns BETWEEN {begin} AND {end}" for task, begin, end in lives)
    rows = _rows(
        session,
        f"WITH hits AS (FROM events WHERE event = 'ipi' AND {where}), flushers AS "
        "(SELECT op, any_value(task) AS flusher FROM events WHERE event = 'flush' GROUP BY op) "
        "SELECT hits.*, flusher FROM hits LEFT JOIN flushers ON hits.op = flushers.op ORDER BY time_ns",
    )
    return _group(rows, lambda row: row["task"])


def _family(session: Session, operations: Iterable[Row]) -> Mapping[int, list[Row]]:
    """Return operations of the same tasks that are nested in these or contain them."""
    where = _any(
        f"task = {row['task']} AND asked_ns <= {row['unmap_asked_ns']} AND done_ns >= {row['mapped_ns']}"
        for row in operations
    )
    rows = _rows(
        session,
        "SELECT op, task, depth, asked_ns, mapped_ns, unmap_asked_ns, done_ns FROM operations "
        f"WHERE (SELECT max(depth) FROM operations) > 0 AND {where}",
    )
    return _group(rows, lambda row: row["task"])


def _group(items: Iterable[T], key: Callable[[T], int]) -> Mapping[int, list[T]]:
    groups: defaultdict[int, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def _rows(session: Session, sql: str) -> list[Row]:
    return session.query(sql).to_dicts()


def _among(ops: Iterable[int]) -> str:
    return f"op IN ({', '.join(str(int(op)) for op in ops)})"


def _any(conditions: Iterable[str]) -> str:
    return f"({' OR '.join(f'({condition})' for condition in conditions) or 'false'})"


def _over(begin: str, end: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return the condition that a row overlaps a span; the whole range, which most rows fail, is first."""
    if not spans:
        return "false"
    any_of = _any(f"{begin} < {b} AND {end} > {a}" for a, b in spans)
    return f"({begin} < {spans[-1][1]} AND {end} > {spans[0][0]} AND {any_of})"
