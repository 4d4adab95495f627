"""Quoting text in SQL statements."""

from __future__ import annotations


def literal(text: str) -> str:
    """Write text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
