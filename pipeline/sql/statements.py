"""Where statements of SQL end."""

from __future__ import annotations

import duckdb


def split_statements(text: str) -> list[str]:
    """Divide SQL at each `;` that is not within a string, a name or a comment; what is empty is left out."""
    ends = _ends(text)
    bounds = zip([0, *(end + 1 for end in ends)], [*ends, len(text)], strict=True)
    # The end of a line closes a comment that stands last.
    parts = [text[begin:end] for begin, end in bounds]
    return [part.strip() for part in parts if has_code(part)]


def ends_complete(text: str) -> bool:
    """Whether a text of SQL ends with the `;` of a statement, comments aside."""
    ends = _ends(text)
    return bool(ends) and not has_code(text[ends[-1] + 1 :])


def has_code(text: str) -> bool:
    """Whether a text has more than space and comments."""
    return any(kind != duckdb.token_type.comment for _, kind in duckdb.tokenize(text))


def is_question(sql: str) -> bool:
    """Whether a statement asks for rows, rather than changes something."""
    kinds = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    try:
        return any(part.type in kinds for part in duckdb.extract_statements(sql))
    except duckdb.Error:
        return True


def _ends(text: str) -> list[int]:
    """Where statements end. DuckDB's tokens begin at bytes of UTF-8."""
    raw = text.encode()
    tokens = duckdb.tokenize(text)
    return [
        len(raw[:offset].decode())
        for offset, kind in tokens
        if kind == duckdb.token_type.operator and raw[offset : offset + 1] == b";"
    ]
