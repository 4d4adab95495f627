"""Convert columns of a foreign table into numbers, and report the row of the first invalid value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError, listed
from pipeline.importing.table_mapping import UNITS_NS, Kind, Number, Time
from pipeline.schema.names import KINDS
from pipeline.schema.trace import MAX_TIME_NS

# Differences of two such times fit into 64 bits.
_FARTHEST_NS = 1 << 62
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True)
class TableColumns:
    """A table read from `path`; `row` is the number of each row in the file, from 0."""

    path: Path
    table: pa.Table
    row: np.ndarray

    @staticmethod
    def of(path: Path, table: pa.Table, names: Sequence[str]) -> TableColumns:
        """Check that each named column exists exactly once."""
        missing = [name for name in names if name not in table.column_names]
        if missing:
            raise InputError(
                f"{path}: the mapping names columns that the table lacks: {listed(missing)}; found: "
                f"{listed(table.column_names)}"
            )
        for name in names:
            if table.column_names.count(name) > 1:
                raise InputError(f"{path}: the table has two columns '{name}'; rename one")
        plain = {name: _as_plain(table.column(name)) for name in names}
        return TableColumns(path, pa.table(plain), np.arange(table.num_rows))

    def with_values(self, names: Sequence[str]) -> TableColumns:
        """Return only the rows in which all named columns have a value; NaN is not a value."""
        kept = np.ones(len(self.row), bool)
        for name in names:
            kept &= ~_is_missing(self.table.column(name))
        return TableColumns(self.path, self.table.filter(pa.array(kept)), self.row[kept])

    def times(self, time: Time, least: int = -_FARTHEST_NS, most: int = _FARTHEST_NS) -> np.ndarray:
        """Return nanoseconds as int64: exact for whole numbers, with double precision for fractions.

        A timestamp or duration column has its own unit, which replaces that of `time`.
        """
        column = self.table.column(time.column)
        unit = time.unit
        if (
            pa.types.is_timestamp(column.type)
            or pa.types.is_duration(column.type)
            or pa.types.is_time(column.type)
        ):
            unit = column.type.unit
            column = column.cast(pa.int32()) if pa.types.is_time32(column.type) else column
            column = column.cast(pa.int64())
        elif not _is_number(column.type):
            raise self._wrong_type(time.column, "times or numbers")
        self._refuse_missing(time.column, column)
        values, scale = _as_numpy(column), UNITS_NS[unit]
        self._check(time.column, values, -(-least // scale), most // scale, f"{unit} (check its unit)")
        if values.dtype.kind in "iu":
            return values.astype(np.int64) * scale
        return np.rint(values * scale).astype(np.int64)

    def durations(self, time: Time) -> np.ndarray:
        """Return nanoseconds as int64, at least 0."""
        return self.times(time, 0, MAX_TIME_NS)

    def numbers(
        self, number: Number, least: int = _LEAST, most: int = _MOST, null: int | None = None
    ) -> np.ndarray:
        """Return whole numbers as int64, with `null` in place of missing values."""
        if number.column is None:
            constant = np.full(len(self.row), number.constant, np.int64)
            self._check("constant", constant, least, most, "")
            return constant
        column = self.table.column(number.column)
        if not _is_number(column.type):
            raise self._wrong_type(number.column, "whole numbers")
        if null is None:
            self._refuse_missing(number.column, column)
        missing = _is_missing(column)
        values = _as_numpy(column.filter(pa.array(~missing)))
        if values.dtype.kind == "f":
            self._check(number.column, values, least, most, "", self.row[~missing], np.rint(values) != values)
        else:
            self._check(number.column, values, least, most, "", self.row[~missing])
        filled = np.full(len(missing), -1 if null is None else null, np.int64)
        filled[~missing] = values.astype(np.int64)
        return filled

    def identities(self, number: Number) -> np.ndarray:
        """Return numbers that identify the values, which may be text."""
        if number.column is None or not _is_text(self.table.column(number.column).type):
            return self.numbers(number)
        column = self.table.column(number.column)
        self._refuse_missing(number.column, column)
        return _encode(column)

    def pages(self, names: Sequence[str]) -> np.ndarray:
        """Return numbers that identify the pages; the values of all named columns identify a page."""
        for name in names:
            if pa.types.is_nested(self.table.schema.field(name).type):
                raise self._wrong_type(name, "numbers or text")
        encoded = [_encode(self.table.column(name)) for name in names]
        _, together = np.unique(np.stack(encoded), axis=1, return_inverse=True)
        return together.ravel()

    def kinds(self, kind: Kind) -> np.ndarray:
        """Return codes of kinds (`schema.names.KINDS`)."""
        if kind.column is None:
            return np.full(len(self.row), KINDS.index(kind.default or "other"), np.int64)
        found = self.table.column(kind.column).cast(pa.string()).combine_chunks().dictionary_encode()
        codes = []
        for value in found.dictionary.to_pylist():
            name = kind.values.get(value) or (value if value in KINDS else None) or kind.default
            if name is None:
                raise InputError(
                    f"{self.path}: column '{kind.column}' contains {value!r}, which the mapping does not "
                    f"translate; add it to columns.kind.values, or a default; kinds are {', '.join(KINDS)}"
                )
            codes.append(KINDS.index(name))
        # The last code is for null, at index -1.
        codes.append(KINDS.index(kind.default or "other"))
        return np.array(codes, np.int64)[np.asarray(pc.fill_null(found.indices, -1))]

    def _refuse_missing(self, name: str, column: pa.ChunkedArray) -> None:
        missing = np.flatnonzero(_is_missing(column))
        if len(missing):
            raise InputError(
                f"{self.path}: column '{name}' is null at row {self.row[missing[0]]:,}, but a number is "
                "required; correct the table"
            )

    def _wrong_type(self, name: str, wanted: str) -> InputError:
        found = self.table.schema.field(name).type
        return InputError(
            f"{self.path}: column '{name}' has the type {found}, but {wanted} are required; cast it first"
        )

    def _check(
        self,
        name: str,
        values: np.ndarray,
        least: int,
        most: int,
        unit: str,
        rows: np.ndarray | None = None,
        wrong: Any = False,
    ) -> None:
        """Raise InputError for values outside the limits, or `wrong` (not whole)."""
        outside = np.flatnonzero((values < least) | (values > most) | wrong)
        if len(outside):
            row = (self.row if rows is None else rows)[outside[0]]
            raise InputError(
                f"{self.path}: column '{name}' is {values[outside[0]]} at row {row:,}; expected a number "
                f"from {least} to {most}{' ' if unit else ''}{unit}; correct the table"
            )


def _as_plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column with values in place of dictionary codes, and text as `pa.string()`."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string()) if _is_text(column.type) else column


def _is_text(type: pa.DataType) -> bool:
    return pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type)


def _is_number(type: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(test(type) for test in tests)


def _is_missing(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.is_null(column, nan_is_null=True).to_numpy(), bool)


def _as_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """Return integers unchanged, and other numbers as doubles."""
    if pa.types.is_null(column.type):
        column = column.cast(pa.int64())
    return np.asarray((column if pa.types.is_integer(column.type) else column.cast(pa.float64())).to_numpy())


def _encode(column: pa.ChunkedArray) -> np.ndarray:
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, -1)).astype(np.int64)
