"""Arguments that have a form of their own: KEY=VALUE, and percentages."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import UsageError
from pipeline.io.numbers import plain_number


def key_values(pairs: Sequence[str], option: str) -> dict[str, str]:
    """Split each `key=value`, a number such as 200k written in full.

    Raises UsageError for one that is not of that form or comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} wants KEY=VALUE, found '{pair}'")
        if key.strip() in found:
            raise UsageError(f"{option} gives '{key.strip()}' twice; give it once")
        found[key.strip()] = plain_number(value.strip())
    return found


def parse_percent(text: str, option: str) -> float:
    """Read "0.5%" or "0.5", in per cent. Raises UsageError for what is no number."""
    try:
        return float(text.removesuffix("%"))
    except ValueError:
        raise UsageError(f"{option} wants a percentage such as 0.5%, found '{text}'") from None


def key_integers(pairs: Sequence[str], option: str) -> dict[str, int]:
    """Split each `key=number`, as `key_values`; UsageError for a value that is no whole number too."""
    found = {}
    for key, text in key_values(pairs, option).items():
        try:
            found[key] = int(text)
        except ValueError:
            raise UsageError(f"{option} {key} wants a whole number, found '{text}'") from None
    return found
