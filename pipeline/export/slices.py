"""The rows of a timeline in time order, from SQL over one run's log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.analysis.session import Session
from pipeline.export.kinds import KINDS, SOURCES, Kind

# A row: its kind's position in KINDS, track number, begin and end in ns, operation, arguments, flow ids.
Row = tuple[int, int, int, int, int | None, tuple[Any, ...], list[int] | None, int | None]

_NUMBERS = max(len(kind.numbers) for kind in KINDS)
_TEXTS = max(len(kind.texts) for kind in KINDS)


def slices(session: Session, window: tuple[int, int] | None) -> Iterator[Row]:
    """Yield every slice and instant of the session's one run that reaches into `window` (ns), by begin.

    Of those that begin together, the outer come before the inner, and an arrow's target after all others.
    """
    arguments = _NUMBERS + _TEXTS
    for batch in session.batches(timeline_sql(window)):
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield (*row[:5], row[5 : 5 + arguments], *row[5 + arguments :])


def timeline_sql(window: tuple[int, int] | None) -> str:
    """Return the one statement that gives all rows; DuckDB sorts them on disk where memory ends."""
    sources = ",\n".join(f"{name} AS ({sql})" for name, sql in SOURCES.items())
    rows = "\nUNION ALL\n".join(_select(number, kind) for number, kind in enumerate(KINDS))
    # What only touches the window's start from before is not in it.
    inside = (
        f"WHERE begin_ns < {window[1]} AND (end_ns > {window[0]} OR begin_ns >= {window[0]})"
        if window
        else ""
    )
    return (
        f"WITH {sources}\nSELECT * EXCLUDE (level) FROM (\n{rows}\n) {inside}\n"
        "ORDER BY begin_ns, comes_from IS NOT NULL, op NULLS FIRST, level, end_ns, kind, lane"
    )


def names_of(kind: Kind) -> tuple[str, ...]:
    """Names of a row's arguments, "" for those that this kind does not have."""
    numbers = _filled(list(kind.numbers), _NUMBERS, "")
    return (*numbers, *kind.texts)


def _select(number: int, kind: Kind) -> str:
    numbers = [f"CAST({sql} AS BIGINT)" for sql in kind.numbers.values()]
    texts = [f"CAST({sql} AS VARCHAR)" for sql in kind.texts.values()]
    columns = [
        f"CAST({number} AS TINYINT) AS kind",
        f"CAST({kind.lane} AS INTEGER) AS lane",
        f"CAST({kind.begin} AS BIGINT) AS begin_ns",
        f"CAST({kind.end or kind.begin} AS BIGINT) AS end_ns",
        f"CAST({kind.op} AS BIGINT) AS op",
        *(f"{sql} AS n{i}" for i, sql in enumerate(_filled(numbers, _NUMBERS, "CAST(NULL AS BIGINT)"))),
        *(f"{sql} AS t{i}" for i, sql in enumerate(_filled(texts, _TEXTS, "CAST(NULL AS VARCHAR)"))),
        f"CAST({kind.leads_to or 'NULL'} AS UBIGINT[]) AS leads_to",
        f"CAST({kind.comes_from or 'NULL'} AS UBIGINT) AS comes_from",
        f"CAST({kind.level} AS TINYINT) AS level",
    ]
    return f"SELECT {', '.join(columns)} FROM {kind.source}"


def _filled(given: list[str], length: int, nothing: str) -> list[str]:
    return given + [nothing] * (length - len(given))
