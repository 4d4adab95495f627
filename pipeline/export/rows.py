"""Rows of a timeline in time order, from SQL over one run's log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pipeline.export.kinds import KINDS, Kind
from pipeline.sql.session import Session

Window = tuple[int, int]
"""Start and end of a part of the run, in ns."""

# Rows per batch: enough to make the overhead of numpy calls small, with at most about 100 MB of memory.
TOGETHER = 131_072

_NUMBERS = max(len(kind.numbers) for kind in KINDS)
_TEXTS = max(len(kind.texts) for kind in KINDS)

# Row sets that the kinds read in addition to the views.
_SOURCES = Path(__file__).with_name("sources.sql").read_text(encoding="utf-8")


def read_rows(session: Session, window: Window | None) -> Iterator[pa.RecordBatch]:
    """Yield the slices and instants of the session's only run that overlap `window`, in order of start.

    Columns: position of the kind in KINDS, lane, begin_ns, end_ns, op, numbers n0 ... and texts t0 ... in the
    kind's order, leads_to, comes_from. Among rows that start at the same time, outer slices come before inner
    ones, and arrow targets come last. DuckDB sorts on disk if memory runs out.
    """
    rows = "\nUNION ALL\n".join(_select(number, kind) for number, kind in enumerate(KINDS))
    sql = (
        f"{_SOURCES}\nSELECT * EXCLUDE (level) FROM (\n{rows}\n) WHERE {reaches_into(window)}\n"
        "ORDER BY begin_ns, comes_from IS NOT NULL, op NULLS FIRST, level, end_ns, kind, lane"
    )
    return session.batches(sql, TOGETHER)


def reaches_into(window: Window | None, begin: str = "begin_ns", end: str = "end_ns") -> str:
    """Return the SQL condition that a row overlaps a window; earlier rows that end at its start do not."""
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
