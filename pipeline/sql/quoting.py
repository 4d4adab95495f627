"""Text as a part of a statement."""

from __future__ import annotations


def literal(text: str) -> str:
    """Write text as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"
