"""KEY=VALUE arguments."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import UsageError


def key_values(pairs: Sequence[str], option: str) -> dict[str, str]:
    """Split each `key=value`. Raises UsageError for one that is not of that form or comes twice."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} wants KEY=VALUE, found '{pair}'")
        if key.strip() in found:
            raise UsageError(f"{option} gives '{key.strip()}' twice; give it once")
        found[key.strip()] = value.strip()
    return found
