"""The rows of a timeline in time order, from SQL over one run's log, and what a writer is given of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.export.kinds import KINDS, SOURCES, Kind
from pipeline.sql.session import Session

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Rows that are told together: enough that a call of numpy is cheap for each, and some 100 MB at most.
TOGETHER = 131_072

_NUMBERS = max(len(kind.numbers) for kind in KINDS)
_TEXTS = max(len(kind.texts) for kind in KINDS)


@dataclass(frozen=True)
class Slices:
    """Slices of one kind, or instants; every column has a row for each, and null for what is not known.

    `since_ns` is the time since what the timeline tells before, `track` its position among all tracks,
    `names` a text for each if the kind does not say it. Flows are numbers of arrows; a list may be null.
    """

    kind: Kind
    begin_ns: Ints
    end_ns: Ints
    since_ns: Ints
    track: Ints
    names: pa.Array | None
    arguments: dict[str, pa.Array]
    leads_to: pa.ListArray | None
    comes_from: pa.Array | None


def slices(session: Session, window: tuple[int, int] | None) -> Iterator[pa.RecordBatch]:
    """Yield every slice and instant of the session's one run that reaches into `window` (ns), by begin.

    Columns: the kind's position in KINDS, lane, begin_ns, end_ns, op, numbers n0 ... and texts t0 ... as the
    kind has them, leads_to, comes_from. Of rows that begin together, the outer come before the inner, and an
    arrow's target after all others.
    """
    return session.batches(timeline_sql(window), TOGETHER)


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


def arguments(kind: Kind, batch: pa.RecordBatch, rows: pa.Array) -> dict[str, pa.Array]:
    """What slices of `kind` say, in the given rows of a batch, by name; null is not known."""
    columns = {"op": "op"}
    columns |= {name: f"n{position}" for position, name in enumerate(kind.numbers)}
    columns |= {name: f"t{position}" for position, name in enumerate(kind.texts)}
    return {name: batch.column(column).take(rows) for name, column in columns.items()}


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
