"""Runs that cannot answer a statement because they lack the log, or a table of it."""

from __future__ import annotations

from pipeline.errors import InputError
from pipeline.schema.log import LOG_TABLES
from pipeline.schema.manifest import KEPT_TABLES
from pipeline.sql.macros import MACROS
from pipeline.sql.session import Session, find_relations
from pipeline.sql.views import VIEWS

_SHOWN = 3


def note_missing_logs(session: Session, sql: str) -> str:
    """Name in a line the runs without rows for a statement that reads logs; "" if there are none.

    Raises InputError if no open run has rows and the statement reads nothing else, as an empty result would
    suggest that no events occurred.
    """
    named = {name for name in find_relations(sql) if name in VIEWS or name in MACROS}
    of_logs = {name for name in named if _tables_of(name)}
    tables = {table for name in of_logs for table in _tables_of(name)}
    lacking = [run for run in session.runs if tables and not tables & set(KEPT_TABLES[run.manifest.events])]
    if not lacking:
        return ""
    names = ", ".join(run.name for run in lacking[:_SHOWN])
    more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
    what = "log" if tables != {"stretches"} else "table of stretches"
    how = "full" if what == "log" else "stretches"
    note = f"no {what} for {names}{more}; replay with --events {how}"
    if len(lacking) == len(session.runs) and not session.recordings and named == of_logs:
        raise InputError(note)
    return note


def _tables_of(name: str) -> set[str]:
    """Return the tables of the log that a view or macro reads, directly or indirectly."""
    found: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        name = waiting.pop()
        if name in LOG_TABLES:
            found.add(name)
        text = MACROS[name].sql if name in MACROS else (VIEWS[name].sql or "" if name in VIEWS else "")
        new = find_relations(text) & {*VIEWS, *MACROS} - seen
        seen |= new
        waiting += new
    return found
