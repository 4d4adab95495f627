"""Copies of TOML files with a few values changed: how a machine profile or a workload is varied."""

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
"""Values by dotted key of a TOML file, for instance {"costs.switch_ns.value": 5000}."""


def apply_overrides(path: Path, changes: Changes, directory: Path) -> Path:
    """Write a copy of a TOML file with the values at some dotted keys replaced; comments stay.

    Raises UsageError for a key that leads through a value that is no table.
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
                raise UsageError(f"{key}: '{step}' is no table of {path.name} but {table!r}; change it whole")
        table[last] = value
    copy = directory / path.name
    copy.write_text(tomlkit.dumps(document), encoding="utf-8")
    return copy


def toml_value(text: str) -> Any:
    """Return the value that `text` is in TOML; what is none is taken for a string without its quotes."""
    try:
        return tomlkit.parse(f"value = {text}")["value"]
    except (ParseError, ValueError, RecursionError):
        return text


def toml_text(value: Any) -> str:
    """Return a value as `toml_value` reads it."""
    table = tomlkit.inline_table()
    table["value"] = value
    text = table.as_string().removeprefix("{value = ").removesuffix("}")
    return re.sub(r",(?=\w+ = )", ", ", text)
