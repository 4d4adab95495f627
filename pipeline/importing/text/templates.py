"""Templates: a line as printed by its recorder, with names for its fields, which becomes a pattern.

    address={address:x} ip={w} error_code={x}

`{name:type}` is a field, and `{type}` is a field that is not read. A blank matches one or more blanks, and
all other text matches literally. `{name:fd}` is a descriptor, with the field `name` and, for the file after
it, the field `name_file`. `{name:offset}` is a pointer to a position, and the field is the position. A
template is enclosed by two regular expressions. Patterns use the syntax of Polars and match a whole column of
lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl

# Numbers that do not fit into 64 bits are not matched, because no recorder prints them.
TYPES = {
    "d": r"-?[0-9]{1,18}",
    "x": r"(?:0x)?[0-9a-fA-F]{1,16}",
    # An unsigned number of 64 bits, in decimal.
    "u": r"[0-9]{1,20}",
    # A number in C notation: decimal unless it begins with 0x.
    "n": r"0x[0-9a-fA-F]{1,16}|-?[0-9]{1,18}",
    "w": r"[^ ,]+",
    "any": r".*",
    # More fields of an event.
    "more": r"(?:, [a-z_0-9]+: [^ ,]+)*",
    # The content of a buffer or string, which some kernels print after its address.
    "held": r"(?: (?:\(.*\)|\".*\"(?:\.\.\.)?))?",
    # A string of strace, which may be truncated.
    "string": r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?',
    "flags": r"[A-Z_0-9|]+[0-9a-fx]*",
    # Flags of open, or of the structure of openat2.
    "oflags": r"(?:\{flags=)?[A-Z_|0-9a-fx]+",
}
# The file after a descriptor with strace -y. "<" and ">" are escaped, except for devices and connections.
_OFFSET = r"(?:NULL|0x[0-9a-f]+|\[(?P<{}>-?[0-9]{{1,18}})\](?: => \[-?[0-9]+\])?)"
_FILE = r"(?:<(?P<{}_file>(?:[^<>]|<[^>]*>|->)*)>(?:\(deleted\))?)?"
_FIELD = re.compile(r"\{(?:(\w+):)?(\w+)\}")

# Columns by name: arrays of numbers (int64, -1 if missing) and series of text (null if missing).
Columns = dict[str, Any]


@dataclass(frozen=True)
class Pattern:
    """A regular expression with named groups, and the type of each: a key of _READ, otherwise text."""

    regex: str
    types: Mapping[str, str]

    def read(self, lines: pl.Series) -> tuple[np.ndarray, Columns]:
        """Match each line: return which match (bool), and the groups of those that do."""
        if not self.types:
            return lines.str.contains(self.regex).to_numpy(), {}
        found = lines.str.extract_groups(self.regex).struct.unnest()
        # The overhead of a Polars call exceeds the work here, so avoid unnecessary calls.
        if all(found[name].null_count() for name in self.types):
            fits = found.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
            found = found.filter(fits)
        else:
            fits = pl.repeat(True, len(lines), eager=True)
        read = {name: _READ.get(type, pl.Series.clone)(found[name]) for name, type in self.types.items()}
        return fits.to_numpy(), read

    def then(self, other: Pattern) -> Pattern:
        """Return this pattern followed directly by another."""
        return Pattern(self.regex + other.regex, {**self.types, **other.types})


def read_decimals(text: pl.Series) -> np.ndarray:
    """Return decimal numbers as int64, -1 for null and for larger ones."""
    return _without_null(text.cast(pl.Int64, strict=False), -1)


def _without_null(numbers: pl.Series, null: int) -> np.ndarray:
    return (numbers.fill_null(null) if numbers.null_count() else numbers).to_numpy()


def _hexadecimals(text: pl.Series) -> np.ndarray:
    """Return hexadecimal numbers of 64 bits as signed numbers, -1 for null and for larger ones."""
    whole = text.str.strip_prefix("0x").str.to_integer(base=16, dtype=pl.UInt64, strict=False)
    return _without_null(whole, (1 << 64) - 1).view(np.int64)


def _unsigned(text: pl.Series) -> np.ndarray:
    """Return unsigned decimal numbers of 64 bits as signed numbers, -1 for null and for larger ones."""
    return _without_null(text.cast(pl.UInt64, strict=False), (1 << 64) - 1).view(np.int64)


def read_numbers(text: pl.Series) -> np.ndarray:
    """Return numbers in C notation as int64, -1 for null."""
    decimal = text.cast(pl.Int64, strict=False)
    if decimal.null_count() == text.null_count():
        return _without_null(decimal, -1)
    hexadecimal = text.str.starts_with("0x").fill_null(False)
    others = _hexadecimals(text.set(~hexadecimal, None))
    return np.where(hexadecimal.to_numpy(), others, _without_null(decimal, -1))


_READ = {"d": read_decimals, "x": _hexadecimals, "n": read_numbers, "u": _unsigned}


@cache
def pattern(template: str, before: str = "^ *", after: str = " *$") -> Pattern:
    """Build the pattern of a template that is enclosed by two regular expressions."""
    types: dict[str, str] = {}
    regex, at = before, 0
    for field in _FIELD.finditer(template):
        regex += _literal(template[at : field.start()])
        name, type = field[1], field[2]
        if name:
            types[name] = "n" if type == "fd" else type
        if type == "fd":
            regex += f"(?:AT_FDCWD|(?P<{name}>-?[0-9]{{1,9}}))" + _FILE.format(name)
            types[f"{name}_file"] = "text"
        elif type == "offset":
            regex += _OFFSET.format(name)
            types[name] = "n"
        else:
            regex += f"(?{f'P<{name}>' if name else ':'}{TYPES[type]})"
        at = field.end()
    return Pattern(f"{regex}{_literal(template[at:])}{after}", types)


def _literal(text: str) -> str:
    return " +".join(re.escape(part) for part in text.split(" "))
