"""Reading untrusted JSON: metadata of files, and manifests of runs."""

from __future__ import annotations

import json
from typing import Any

from pipeline.errors import printable

_LARGEST = (1 << 63) - 1


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; control characters in its strings become text, so that names can be shown anywhere.

    Raises ValueError for whatever is wrong with it, also for numbers that are none and for deep nesting.
    """
    try:
        return _as_text(json.loads(text, parse_constant=_refuse))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _as_text(value: Any) -> Any:
    match value:
        case str():
            return printable(value)
        case int() if not -_LARGEST <= value <= _LARGEST:
            raise ValueError(f"a number of {value.bit_length()} bits, where at most 64 are read")
        case list():
            return [_as_text(item) for item in value]
        case dict():
            return {printable(key): _as_text(item) for key, item in value.items()}
    return value
