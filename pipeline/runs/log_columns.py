"""From the engine's records to the columns of a table's file.

Records are turned into columns by blocks that stay in a CPU's own cache: first as a whole, in words of 64
bits, so that every step after that runs over neighbouring numbers.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.schema.run import DICTIONARIES, LogColumn, LogTable

_BLOCK_ROWS = 1 << 11
_WORD = np.dtype(np.int64)
_LEAST, _MOST = np.iinfo(np.int32).min, np.iinfo(np.int32).max


class ColumnBuffers:
    """Columns of a table as its file holds them, filled from records; with room for `capacity` rows."""

    def __init__(self, table: LogTable, record: np.dtype, capacity: int) -> None:
        self.rows = 0
        self._schema = table.stored_schema
        self._dictionaries = {name: pa.array(values) for name, values in DICTIONARIES.items()}
        self._words = np.empty((record.itemsize // _WORD.itemsize, _BLOCK_ROWS), _WORD)
        self._fields = {column.name: _field(self._words, record, column.name) for column in table.columns}
        # Numbers that may have no room are looked at before they are taken over.
        self._checked = [column for column in table.columns if _may_not_fit(column)]
        self._wanted = np.empty((len(self._checked), _BLOCK_ROWS), _WORD)
        self._narrow = np.empty((len(self._checked), capacity), np.int32)
        self._columns = dict(zip((c.name for c in self._checked), self._narrow, strict=True))
        self._plain = [column.name for column in table.columns if column.name not in self._columns]
        for column in table.columns:
            if column.name in self._plain:
                self._columns[column.name] = np.empty(capacity, _numpy_type(column.stored.type))
        self._order = [column.name for column in table.columns]

    def append(self, records: np.ndarray) -> np.ndarray:
        """Take records, of which there must be room for all; return those whose numbers do not fit."""
        left = [
            self._append_block(records[first : first + _BLOCK_ROWS])
            for first in range(0, len(records), _BLOCK_ROWS)
        ]
        return np.concatenate(left) if left else records

    def take(self) -> pa.RecordBatch:
        """Return the columns and begin anew: what is returned holds until the next record is appended."""
        arrays = []
        for name, field in zip(self._order, self._schema, strict=True):
            values = pa.array(self._columns[name][: self.rows])
            if pa.types.is_dictionary(field.type):
                values = pa.DictionaryArray.from_arrays(values, self._dictionaries[name])
            arrays.append(values)
        self.rows = 0
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _append_block(self, block: np.ndarray) -> np.ndarray:
        n = len(block)
        self._words[:, :n] = block.view(_WORD).reshape(n, -1).T
        fits = self._fill_wanted(n)
        if not fits.all():
            self._append_block(block[fits])
            return block[~fits]
        here = slice(self.rows, self.rows + n)
        self._narrow[:, here] = self._wanted[:, :n]
        for name in self._plain:
            self._columns[name][here] = self._fields[name][:n]
        self.rows += n
        return block[:0]

    def _fill_wanted(self, n: int) -> np.ndarray:
        """Work out the numbers that are to be stored in 32 bits; bool [n]: in which rows all of them fit."""
        wanted = self._wanted[:, :n]
        fits = np.ones(n, np.bool_)
        for row, column in zip(wanted, self._checked, strict=True):
            value = self._fields[column.name][:n]
            row[:] = value
            for other in column.stored.less:
                np.subtract(row, self._fields[other][:n], out=row)
            # Of a difference, -1 means none, and no other negative number is stored: see `LogColumn`.
            if column.none and column.stored.less and row.min(initial=0) < 0:
                none = value == -1
                fits &= none | (row >= 0)
                row[none] = -1
        if wanted.min(initial=0) < _LEAST or wanted.max(initial=0) > _MOST:
            fits &= ((wanted >= _LEAST) & (wanted <= _MOST)).all(axis=0)
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
    """View a field of the records, of which `words` has word by word those of a block."""
    assert record.fields is not None
    kind, offset = record.fields[name][:2]
    word, within = divmod(offset, _WORD.itemsize)
    return words[word].view(kind)[within // kind.itemsize :: _WORD.itemsize // kind.itemsize]


def _numpy_type(stored: pa.DataType) -> np.dtype:
    return np.dtype((stored.index_type if pa.types.is_dictionary(stored) else stored).to_pandas_dtype())


def _may_not_fit(column: LogColumn) -> bool:
    wide = not pa.types.is_dictionary(column.type) and column.type.bit_width > 32
    return column.stored.type == pa.int32() and (wide or bool(column.stored.less))
