"""What the log of one run has of a few operations, fetched by a handful of queries whatever their number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from pipeline.explain.attribution import Claim, Hold, Pass
from pipeline.schema.run import SITES
from pipeline.sql.session import Session
from pipeline.sql.views import VIEWS

Row = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """Rows of the log about some operations, ready to be looked up.

    `own`, `events` and `passes` are by operation; `holds` lie over their waits for a lock, `passes` are those
    made in these holds, and their own; `wraps` numbers scans by (operation, time); `interrupts` are by task;
    `flushers` gives the task of each flush by its operation; `family` are, by task, rows nested with or
    around them.
    """

    own: Mapping[int, Row]
    events: Mapping[int, Sequence[Row]]
    holds: Holds
    passes: Mapping[int, Sequence[Pass]]
    wraps: dict[tuple[int, int], int]
    interrupts: Mapping[int, Sequence[Row]]
    flushers: Mapping[int, int]
    family: Mapping[int, Sequence[Row]]


class Holds:
    """Holds that can be looked up by time."""

    def __init__(self, holds: Iterable[Hold]) -> None:
        """Put them in order."""
        self._holds = sorted(holds, key=lambda hold: (hold.begin_ns, hold.op))
        self._begins = [hold.begin_ns for hold in self._holds]
        # When all up to this one have ended: it never falls, so that it can be searched.
        self._over = list(accumulate((hold.end_ns for hold in self._holds), max))

    def __iter__(self) -> Iterator[Hold]:
        """All of them, in order of time."""
        return iter(self._holds)

    def between(self, begin_ns: int, end_ns: int) -> list[Hold]:
        """Those that overlap a stretch of time, in order of time."""
        first, last = bisect_right(self._over, begin_ns), bisect_left(self._begins, end_ns)
        return [hold for hold in self._holds[first:last] if hold.end_ns > begin_ns]


def gather(session: Session, ops: Sequence[int]) -> Evidence:
    """Fetch what explains `ops` from the log of the session's one run; those not in it have no rows."""
    own = {row["op"]: row for row in _rows(session, f"FROM operations WHERE op IN ({_list(ops)})")}
    events = _own_events(session, ops)
    waits = [claim for op, row in own.items() for claim in _waits(row, events[op])]
    near = _merged(waits)
    holds = _holds(session, near)
    # A wait and the holds over it are one span: a convoy has thousands of holds.
    spans = _merged([*near, *((h.begin_ns, h.end_ns) for h in holds)])
    passes = _passes(session, spans, events)
    interrupts = _interrupts(session, own.values())
    initiators = {row["op"] for rows in interrupts.values() for row in rows if row["op"] is not None}
    return Evidence(
        own, events, Holds(holds), _by_op(passes), _wraps(session, passes), interrupts,
        _flushers(session, initiators), _family(session, own.values()),
    )  # fmt: skip


def slowest(session: Session, count: int) -> list[int]:
    """Return the operations that took longest to get their mapping, the longest first."""
    rows = _rows(
        session,
        f"SELECT op FROM operations ORDER BY mapped_ns - asked_ns DESC, op LIMIT {int(count)}",
    )
    return [row["op"] for row in rows]


def waits_of(row: Row, events: Iterable[Row]) -> list[tuple[Claim, str, bool, int | None]]:
    """Each wait of an operation for a lock, with its site, whether a relock, and the holder, if noted for it.

    The simulator notes the longest holder for an operation's longest wait, and for each relock.
    """
    found: list[tuple[Claim, str, bool, int | None]] = []
    first = {
        "map": ((row["locked_ns"] or 0) - row["map_wait_ns"], row["map_wait_ns"]),
        "unmap": (row["unmap_asked_ns"], row["unmap_wait_ns"]),
    }
    relocks = [e for e in events if e["event"] == "relock" and e["value"]]
    alone = sum(ns > 0 for _, ns in first.values()) + len(relocks) == 1
    for site, (begin, ns) in first.items():
        if ns > 0:
            found.append(
                (Claim("lock_wait", begin, begin + ns), site, False, row["holder"] if alone else None)
            )
    for event in relocks:
        claim = Claim("lock_wait", event["time_ns"] - event["value"], event["time_ns"])
        found.append((claim, SITES[event["slot"]], True, event["other"]))
    return found


def _waits(row: Row, events: Iterable[Row]) -> list[tuple[int, int]]:
    return [(claim.begin_ns, claim.end_ns) for claim, *_ in waits_of(row, events)]


def _own_events(session: Session, ops: Sequence[int]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {op: [] for op in ops}
    sql = f"FROM events WHERE op IN ({_list(ops)}) AND event <> 'ipi' ORDER BY time_ns"
    for row in _rows(session, sql):
        found[row["op"]].append(row)
    return found


def _holds(session: Session, near: Sequence[tuple[int, int]]) -> list[Hold]:
    """Holds that overlap one of the spans `near`.

    The view reads the operations three times; here it sees only those that were under way in the spans.
    """
    if not near:
        return []
    sql = (
        "WITH operations AS MATERIALIZED ("
        f"SELECT * FROM main.operations WHERE {_over('asked_ns', 'done_ns', near)}), "
        f"holds AS ({VIEWS['lock_holds'].sql}) "
        "SELECT h.site, h.op, h.task, h.cpu, h.time_ns, h.hold_ns, o.kind "
        "FROM holds AS h LEFT JOIN operations AS o ON h.op = o.op "
        f"WHERE {_over('h.time_ns', 'h.time_ns + h.hold_ns', near)}"
    )
    return [
        Hold(r["site"], r["op"], r["task"], r["cpu"], r["time_ns"], r["hold_ns"], r["kind"])
        for r in _rows(session, sql)
    ]


def _passes(
    session: Session, spans: Sequence[tuple[int, int]], events: Mapping[int, Sequence[Row]]
) -> list[Pass]:
    rows = [row for of_one in events.values() for row in of_one if row["event"] in ("scan", "flush")]
    if spans:
        rows += _rows(
            session,
            "SELECT event, op, task, time_ns, duration_ns, value, other FROM events "
            f"WHERE event IN ('scan', 'flush') AND {_over('time_ns', 'time_ns + duration_ns', spans)}",
        )
    passes = {
        Pass(r["event"], r["op"], r["task"], r["time_ns"], r["duration_ns"], r["value"], r["other"])
        for r in rows
    }
    return sorted(passes, key=lambda p: (p.begin_ns, p.op, p.event))


def _wraps(session: Session, passes: Iterable[Pass]) -> dict[tuple[int, int], int]:
    """Number the scans of operations that flushed among all of the run, by time and operation."""
    flushed = {p.op for p in passes if p.event == "flush"}
    scans = [p for p in passes if p.event == "scan" and p.op in flushed]
    if not scans:
        return {}
    last = max(p.begin_ns for p in scans)
    sql = (
        "WITH numbered AS (SELECT op, time_ns, row_number() OVER (ORDER BY time_ns, op) AS wrap FROM events "
        f"WHERE event = 'scan' AND time_ns <= {last}) "
        f"FROM numbered WHERE op IN ({_list(sorted(flushed))})"
    )
    return {(r["op"], r["time_ns"]): r["wrap"] for r in _rows(session, sql)}


def _interrupts(session: Session, own: Iterable[Row]) -> dict[int, list[Row]]:
    by_task: dict[int, list[Row]] = {}
    lives = {(row["task"], row["asked_ns"], row["done_ns"]) for row in own}
    if not lives:
        return {}
    where = " OR ".join(
        f"(task = {task} AND time_ns BETWEEN {begin} AND {end})" for task, begin, end in sorted(lives)
    )
    sql = (
        "SELECT task, time_ns, duration_ns, cpu, other, op FROM events "
        f"WHERE event = 'ipi' AND ({where}) ORDER BY time_ns"
    )
    for row in _rows(session, sql):
        by_task.setdefault(row["task"], []).append(row)
    return by_task


def _flushers(session: Session, ops: set[int]) -> dict[int, int]:
    if not ops:
        return {}
    sql = f"SELECT op, task FROM events WHERE event = 'flush' AND op IN ({_list(sorted(ops))})"
    return {row["op"]: row["task"] for row in _rows(session, sql)}


def _family(session: Session, own: Iterable[Row]) -> dict[int, list[Row]]:
    """Operations of the same tasks that lie within these or round them."""
    rows = list(own)
    nested = _rows(session, "SELECT max(depth) AS deepest FROM operations")[0]["deepest"]
    if not rows or not nested:
        return {}
    where = " OR ".join(
        f"(task = {r['task']} AND asked_ns <= {r['unmap_asked_ns']} AND done_ns >= {r['mapped_ns']})"
        for r in rows
    )
    sql = (
        f"SELECT op, task, depth, asked_ns, mapped_ns, unmap_asked_ns, done_ns FROM operations WHERE {where}"
    )
    by_task: dict[int, list[Row]] = {}
    for row in _rows(session, sql):
        by_task.setdefault(row["task"], []).append(row)
    return by_task


def _by_op(passes: Iterable[Pass]) -> dict[int, list[Pass]]:
    found: dict[int, list[Pass]] = {}
    for one in passes:
        found.setdefault(one.op, []).append(one)
    return found


def _rows(session: Session, sql: str) -> list[Row]:
    return session.query(sql).to_dicts()


def _list(ops: Sequence[int]) -> str:
    return ", ".join(str(int(op)) for op in ops)


def _over(begin: str, end: str, spans: Sequence[tuple[int, int]]) -> str:
    """A condition that a row overlaps one of the spans; the whole stretch first, which most rows fail."""
    first, last = min(begin for begin, _ in spans), max(end for _, end in spans)
    any_of = " OR ".join(f"({begin} < {b} AND {end} > {a})" for a, b in spans)
    return f"{begin} < {last} AND {end} > {first} AND ({any_of})"


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, overlapping ones made one."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
