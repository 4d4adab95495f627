"""Copies of TOML files with a few values changed, to vary machine profiles and workloads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

from pipeline.errors import UsageError
from pipeline.io.toml import parse_toml, read_toml_bytes

Changes = Mapping[str, Any]
"""Values by dotted key of a TOML file, such as {"costs.switch_ns.value": 5000}."""


def apply_overrides(path: Path, changes: Changes, directory: Path) -> Path:
    """Write a copy of a TOML file to `directory`, with the values at some dotted keys replaced.

    Comments are kept. Returns the path of the copy. Raises UsageError if a key leads through a value that is
    not a table.
    """
    content = read_toml_bytes(path, "TOML")
    parse_toml(content, path)
    document = tomlkit.parse(content)
    for key, value in changes.items():
        *tables, last = key.split(".")
        table: Any = document
        for step in tables:
            table = table[step] if step in table else table.setdefault(step, tomlkit.table())
            if not isinstance(table, dict):
                raise UsageError(
                    f"{key}: '{step}' in {path.name} is {table!r}, not a table; set '{step}' itself"
                )
        table[last] = value
    copy = directory / path.name
    copy.write_text(tomlkit.dumps(document), encoding="utf-8")
    return copy


def toml_value(text: str) -> Any:
    """Parse `text` as a TOML value; text that is not valid TOML is returned as a string."""
    try:
        return tomlkit.parse(f"value = {text}")["value"]
    except (ParseError, ValueError, RecursionError):
        return text


def toml_text(value: Any) -> str:
    """Format a value as TOML text that `toml_value` reads back."""
    table = tomlkit.inline_table()
    table["value"] = value
    text = table.as_string().removeprefix("{value = ").removesuffix("}")
    return re.sub(r",(?=\w+ = )", ", ", text)
