"""Parsers of arguments of the form KEY=VALUE and of percentages."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import UsageError
from pipeline.io.numbers import plain_number


def key_values(pairs: Sequence[str], option: str) -> dict[str, str]:
    """Split each `key=value`, and expand numbers such as 200k.

    Raises UsageError for an argument of another form and for a repeated key.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} expects KEY=VALUE, found '{pair}'")
        if key.strip() in found:
            raise UsageError(f"{option} gives '{key.strip()}' twice; give it once")
        found[key.strip()] = plain_number(value.strip())
    return found


def parse_percent(text: str, option: str) -> float:
    """Parse "0.5%" or "0.5", in per cent. Raises UsageError for text that is not a number."""
    try:
        return float(text.removesuffix("%"))
    except ValueError:
        raise UsageError(f"{option} expects a percentage such as 0.5%, found '{text}'") from None


def key_integers(pairs: Sequence[str], option: str) -> dict[str, int]:
    """Split each `key=number` as `key_values` does; UsageError also if a value is not a whole number."""
    found = {}
    for key, text in key_values(pairs, option).items():
        try:
            found[key] = int(text)
        except ValueError:
            raise UsageError(f"{option} {key} expects a whole number, found '{text}'") from None
    return found
