"""Splitting SQL into statements."""

from __future__ import annotations

import duckdb


def split_statements(text: str) -> list[str]:
    """Split SQL at each `;` outside of strings, names and comments; empty statements are omitted."""
    ends = _ends(text)
    bounds = zip([0, *(end + 1 for end in ends)], [*ends, len(text)], strict=True)
    # The end of the line closes a trailing comment.
    parts = [text[begin:end] for begin, end in bounds]
    return [part.strip() for part in parts if has_code(part)]


def ends_complete(text: str) -> bool:
    """Return whether SQL ends with the `;` of a statement, ignoring comments."""
    ends = _ends(text)
    return bool(ends) and not has_code(text[ends[-1] + 1 :])


def has_code(text: str) -> bool:
    """Return whether a text has more than whitespace and comments."""
    return any(kind != duckdb.token_type.comment for _, kind in duckdb.tokenize(text))


def is_question(sql: str) -> bool:
    """Return whether a statement returns rows rather than changing data."""
    kinds = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    try:
        return any(part.type in kinds for part in duckdb.extract_statements(sql))
    except duckdb.Error:
        return True


def _ends(text: str) -> list[int]:
    """Return the ends of statements. Positions of DuckDB's tokens are in bytes of UTF-8."""
    raw = text.encode()
    tokens = duckdb.tokenize(text)
    return [
        len(raw[:offset].decode())
        for offset, kind in tokens
        if kind == duckdb.token_type.operator and raw[offset : offset + 1] == b";"
    ]
