"""Parser of untrusted JSON: file metadata and run manifests."""

from __future__ import annotations

import json
from typing import Any

from pipeline.errors import printable

_LARGEST = (1 << 63) - 1


def parse_json(text: str | bytes) -> Any:
    """Parse JSON and escape control characters in its strings, so names can be shown anywhere.

    Raises ValueError for invalid JSON, NaN and infinities, integers of more than 64 bits, and deep nesting.
    """
    try:
        return _as_text(json.loads(text, parse_constant=_refuse))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _as_text(value: Any) -> Any:
    match value:
        case str():
            return printable(value)
        case int() if not -_LARGEST <= value <= _LARGEST:
            raise ValueError(f"an integer has {value.bit_length()} bits; at most 64 are supported")
        case list():
            return [_as_text(item) for item in value]
        case dict():
            return {printable(key): _as_text(item) for key, item in value.items()}
    return value
