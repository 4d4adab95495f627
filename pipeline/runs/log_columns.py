"""Converting the engine's records to the columns of a table's file.

Records are converted in blocks that fit in a CPU's own cache. A block is first transposed as a whole, in
64-bit words, so every later step reads contiguous numbers.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa

from pipeline.schema.log import DICTIONARIES, LogColumn, LogTable

_BLOCK_ROWS = 1 << 13
_WORD = np.dtype(np.int64)
_LIMITS = np.iinfo(np.int32).min, np.iinfo(np.int32).max


class ColumnBuffers:
    """Columns of a table in the form of its file: up to `capacity` rows from records like `record`."""

    def __init__(self, table: LogTable, record: np.dtype, capacity: int) -> None:
        self.rows = 0
        self._schema = table.stored_schema
        self._dictionaries = {name: pa.array(values) for name, values in DICTIONARIES.items()}
        self._words = np.empty((record.itemsize // _WORD.itemsize, _BLOCK_ROWS), _WORD)
        self._fields = {column.name: _field(self._words, record, column.name) for column in table.columns}
        self._differences = [column for column in table.columns if column.stored.plus]
        shortened = [column for column in table.columns if _is_shortened(column)]
        self._wanted = np.empty((len(self._differences), _BLOCK_ROWS), _WORD)
        limits = [np.iinfo(_numpy_type(column.stored.type)) for column in self._differences]
        self._limits = [(limit.min, limit.max) for limit in limits]
        # Words of the records that are stored in 32 bits.
        self._short = np.empty((len(shortened), capacity), np.int32)
        self._runs = _runs([_word_of(record, column.name) for column in shortened])
        self._columns = {
            column.name: np.empty(capacity, _numpy_type(column.stored.type)) for column in table.columns
        } | dict(zip((column.name for column in shortened), self._short, strict=True))
        checked = {column.name for column in (*self._differences, *shortened)}
        self._others = [column.name for column in table.columns if column.name not in checked]

    def append(self, records: np.ndarray) -> np.ndarray:
        """Append records, for which there must be room; return those whose numbers do not fit."""
        left = [
            self._append_block(records[first : first + _BLOCK_ROWS])
            for first in range(0, len(records), _BLOCK_ROWS)
        ]
        return np.concatenate([records[:0], *(block for block in left if len(block))])

    def take(self) -> pa.RecordBatch:
        """Return the columns and start again. They are valid until the next record is appended."""
        arrays = []
        for field, (name, values) in zip(self._schema, self._columns.items(), strict=True):
            array = pa.array(values[: self.rows])
            if pa.types.is_dictionary(field.type):
                array = pa.DictionaryArray.from_arrays(array, self._dictionaries[name])
            arrays.append(array)
        self.rows = 0
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _append_block(self, block: np.ndarray) -> np.ndarray:
        n = len(block)
        if n == 0:
            return block
        self._words[:, :n] = block.view(_WORD).reshape(n, -1).T
        fits = self._fill_differences(n)
        short = [(self._words[words, :n], _LIMITS) for words, _ in self._runs]
        for part, (least, most) in [*zip(self._wanted[:, :n], self._limits, strict=True), *short]:
            if part.min(initial=0) < least or part.max(initial=0) > most:
                fits &= ((part >= least) & (part <= most)).reshape(-1, n).all(axis=0)
        if not fits.all():
            self._append_block(block[fits])
            return block[~fits]
        here = slice(self.rows, self.rows + n)
        for column, wanted in zip(self._differences, self._wanted[:, :n], strict=True):
            self._columns[column.name][here] = wanted
        for words, rows in self._runs:
            self._short[rows, here] = self._words[words, :n]
        for name in self._others:
            self._columns[name][here] = self._fields[name][:n]
        self.rows += n
        return block[:0]

    def _fill_differences(self, n: int) -> np.ndarray:
        """Compute the differences; return bool [n], true for rows in which none equals the null marker."""
        fits = np.ones(n, np.bool_)
        for wanted, column in zip(self._wanted[:, :n], self._differences, strict=True):
            value = self._fields[column.name][:n]
            first, *others = column.stored.plus
            np.subtract(value, self._fields[first][:n], out=wanted, dtype=_WORD)
            for other in others:
                np.subtract(wanted, self._fields[other][:n], out=wanted)
            for other in column.stored.minus:
                np.add(wanted, self._fields[other][:n], out=wanted)
            if column.none and wanted.min(initial=0) < 0:
                none = value == -1
                fits &= none | (wanted >= 0)
                wanted[none] = -1
        return fits


def as_they_are(records: np.ndarray, table: LogTable) -> pa.RecordBatch:
    """Return records as columns of the table's own types."""
    arrays = []
    for field in table.schema:
        values = pa.array(np.ascontiguousarray(records[field.name]))
        if pa.types.is_dictionary(field.type):
            values = pa.DictionaryArray.from_arrays(values, pa.array(DICTIONARIES[field.name]))
        arrays.append(values)
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def _field(words: np.ndarray, record: np.dtype, name: str) -> np.ndarray:
    """Return a view of a field of a block's records, given as `words`, word by word."""
    kind, offset = _kind_and_offset(record, name)
    word, within = divmod(offset, _WORD.itemsize)
    return words[word].view(kind)[within // kind.itemsize :: _WORD.itemsize // kind.itemsize]


def _word_of(record: np.dtype, name: str) -> int:
    return _kind_and_offset(record, name)[1] // _WORD.itemsize


def _kind_and_offset(record: np.dtype, name: str) -> tuple[np.dtype, int]:
    assert record.fields is not None
    kind, offset = record.fields[name][:2]
    return kind, offset


def _runs(words: list[int]) -> list[tuple[slice, slice]]:
    """Group adjacent words; return the words and their positions in the list for each group."""
    ends = [k + 1 for k, (word, after) in enumerate(pairwise(words)) if after != word + 1]
    return [
        (slice(words[first], words[end - 1] + 1), slice(first, end))
        for first, end in pairwise([0, *ends, len(words)])
        if first < end
    ]


def _numpy_type(stored: pa.DataType) -> np.dtype:
    return np.dtype((stored.index_type if pa.types.is_dictionary(stored) else stored).to_pandas_dtype())


def _is_shortened(column: LogColumn) -> bool:
    """Return whether 64-bit numbers are stored in 32 bits."""
    return column.type == pa.int64() and column.stored.type == pa.int32() and not column.stored.plus
