"""Reader of TOML with limits on size and nesting: any file is read or refused quickly."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.io.files import readable_file

# Far above the size of files that people write, but still quick to read.
MOST_BYTES = 1 << 20
MOST_DEPTH = 32
_LARGEST = (1 << 63) - 1


def read_toml(path: Path, wanted: str) -> dict[str, Any]:
    """Read a TOML file; `wanted` describes it in the error if it does not exist.

    Raises InputError with file and line for content that is not TOML in UTF-8, and InputError for a file that
    exceeds the limits of this module on size or nesting.
    """
    return parse_toml(read_toml_bytes(path, wanted), path)


def read_toml_bytes(path: Path, wanted: str) -> bytes:
    """Read a TOML file without parsing it. Raises InputError if it is larger than MOST_BYTES."""
    with readable_file(path, wanted).open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise InputError(f"{path}: expected {wanted} of at most {MOST_BYTES >> 10:,} KiB, found more")
    return content


def parse_toml(content: bytes, path: Path) -> dict[str, Any]:
    """Parse the content of the file `path`; see `read_toml`."""
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}:{line}: expected TOML in UTF-8, found an invalid byte") from error
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        line = int(at[1]) if at else len(content.splitlines())
        what = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise InputError(
            f"{path}:{line}: expected TOML, found a syntax error: {what}; correct the file"
        ) from error
    except RecursionError as error:
        raise _too_deep(path) from error
    except ValueError as error:
        raise InputError(f"{path}: expected TOML, found an invalid value: {error}") from error
    for key, value, depth in _values(table):
        if depth > MOST_DEPTH:
            raise _too_deep(path)
        if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
            raise InputError(
                f"{path}: {key}: expected a 64-bit number, found one of {value.bit_length()} bits"
            )
    return table


def _too_deep(path: Path) -> InputError:
    return InputError(f"{path}: expected TOML with at most {MOST_DEPTH} levels of nesting, found more")


def _values(table: dict[str, Any]) -> Iterator[tuple[str, Any, int]]:
    """Yield all values with their dotted keys and depths, down to one level below MOST_DEPTH."""
    left: list[tuple[str, Any, int]] = [("", table, 0)]
    while left:
        key, value, depth = left.pop()
        yield key, value, depth
        if depth <= MOST_DEPTH and isinstance(value, dict | list):
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            left += [(f"{key}.{step}" if key else str(step), found, depth + 1) for step, found in inner]
