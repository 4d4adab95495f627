"""Find a workload spec by name or path, read it, and report errors in it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import InputError, unknown_name
from pipeline.io.files import readable_file
from pipeline.io.resources import shipped_files
from pipeline.io.toml import parse_toml, read_toml_bytes
from pipeline.schema.names import KINDS
from pipeline.workload.spec import Workload, rename_old_keys
from pipeline.workload.strict_model import unknown_key

SUFFIX = ".toml"


@dataclass(frozen=True)
class NamedWorkload:
    """A workload spec with its name (the file's, without suffix), path and the SHA-256 of its file."""

    name: str
    path: Path
    sha256: str
    workload: Workload


def shipped_workloads() -> dict[str, Path]:
    """Return the paths of the shipped specs by name, sorted by name."""
    return shipped_files("traces", SUFFIX)


def workload_path(spec: str | Path) -> Path:
    """Return the path of a spec, given as a shipped name or as a path that ends in .toml.

    Raises UsageError for an unknown name and InputError for a path that is not a readable file.
    """
    if str(spec).endswith(SUFFIX):
        return readable_file(Path(spec), "a workload spec")
    known = shipped_workloads()
    if str(spec) not in known:
        raise unknown_name("workload", str(spec), known, f"or give the path of a {SUFFIX} file", (SUFFIX,))
    return known[str(spec)]


def read_workload(spec: str | Path) -> NamedWorkload:
    """Read and check a spec, given as for `workload_path`.

    Raises InputError, which names the file and the line of a TOML error, or the file, the key, the value
    found and the allowed values.
    """
    path = workload_path(spec)
    content = read_toml_bytes(path, "a workload spec")
    table = rename_old_keys(parse_toml(content, path))
    try:
        workload = Workload.model_validate(table)
    except ValidationError as error:
        details = error.errors(include_url=False)
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        raise InputError(f"{path}: {_explain(details[0], table)}{more}") from error
    return NamedWorkload(path.stem, path, hashlib.sha256(content).hexdigest(), workload)


def _explain(detail: ErrorDetails, table: dict[str, Any]) -> str:
    """Return one line for an error: the key path, what is wrong and the value found."""
    context = detail.get("ctx", {})
    location = [step for step in detail["loc"] if step != "[key]"]
    key = _key_path(location, table, keep_last=detail["type"] == "missing")
    prefix = f"{key}: " if key else ""
    match detail["type"]:
        case "unknown_key":
            return f"{prefix}{detail['msg']}"
        case "literal_error" if detail["loc"][-1] == "[key]":
            parent = _key_path(location[:-1], table, keep_last=False)
            return f"{parent}: {unknown_key(str(location[-1]), list(KINDS))}"
        case "missing":
            return f"{prefix}this key is required; add it"
        case "union_tag_invalid":
            known = re.findall(r"'(\w+)'", str(context["expected_tags"]))
            return f"{prefix}dist: {unknown_key(str(context['tag']), known).replace('key ', '')}"
        case "union_tag_not_found":
            return f"{prefix}expected a distribution with the key `dist`, found {detail['input']!r}"
        case "value_error":
            return f"{prefix}{context['error']}"
        case _:
            expected = detail["msg"].replace("Input should be", "expected")
            return f"{prefix}{expected}, found {detail['input']!r}"


def _key_path(location: list[int | str], table: Any, *, keep_last: bool) -> str:
    """Return the dotted key path as in the file: pydantic's location without the names of union members."""
    steps: list[str] = []
    for at, step in enumerate(location):
        inside = (
            step in table
            if isinstance(table, dict)
            else isinstance(table, list) and step in range(len(table))
        )
        if inside:
            table = table[step]
        elif not (keep_last and at == len(location) - 1):
            continue
        steps.append(str(step))
    return ".".join(steps)
