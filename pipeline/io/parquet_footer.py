"""Column statistics in the footer of a Parquet file.

pyarrow aborts the process when it reads statistics from a damaged footer, because its C++ code throws where
no exception is expected. The footer is therefore decoded here. It is a Thrift struct in the compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), with the field numbers of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# The length of the footer and the magic number, at the end of the file.
_TAIL_BYTES = 8
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = *range(1, 11), 12
_LONGEST_NUMBER = 10

_ROW_GROUPS, _COLUMNS, _META_DATA, _TYPE, _STATISTICS, _MAX_VALUE = 4, 1, 3, 1, 12, 5
# Bytes of a value by type number: INT32 and INT64.
_SIZES = {1: 4, 2: 8}

Struct = dict[int, Any]


def read_footer(path: Path) -> Struct:
    """Return the footer of a file: values by field number.

    Raises ValueError, IndexError, OSError or RecursionError if the footer is damaged.
    """
    with path.open("rb") as file:
        end = file.seek(-_TAIL_BYTES, 2)
        size = int.from_bytes(file.read(4), "little")
        file.seek(end - size)
        return _Decoder(file.read(size)).struct()


def column_maximum(footer: Struct, index: int) -> int | None:
    """Return the largest value of integer column `index` by a file's statistics, or -1 if it is lower.

    Returns -1 for a file without row groups, and None without statistics. Raises ValueError, IndexError,
    KeyError or TypeError if the footer is damaged.
    """
    best = -1
    for group in _field(footer, _ROW_GROUPS, []):
        column = _field(group[_COLUMNS][index], _META_DATA, {})
        largest = _field(_field(column, _STATISTICS, {}), _MAX_VALUE, None)
        if largest is None:
            return None
        if len(largest) != _SIZES.get(column[_TYPE]):
            raise ValueError(f"the largest value of column {index} has {len(largest)} bytes")
        best = max(best, int.from_bytes(largest, "little", signed=True))
    return best


def _field(struct: Any, number: int, otherwise: Any) -> Any:
    # In a damaged footer, `struct` may be another type, which raises TypeError.
    if number in struct:
        return struct[number]
    return otherwise


class _Decoder:
    """Decoder of consecutive values in the compact protocol."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def struct(self) -> Struct:
        found: Struct = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            found[field] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind)
        return found

    def _value(self, kind: int) -> Any:
        if kind == _STRUCT:
            return self.struct()
        if kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 != 15 else self._number()
            return [self._value(head & 15) for _ in range(count)]
        if kind == _BINARY:
            return self._bytes(self._number())
        if kind in (_I16, _I32, _I64):
            return self._signed()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        raise ValueError(f"the footer has a value of unknown type {kind}")

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        self._at += count
        if self._at > len(self._content):
            raise ValueError("the footer ends within a value")
        return self._content[self._at - count : self._at]

    def _number(self) -> int:
        number = 0
        for place in range(_LONGEST_NUMBER):
            byte = self._byte()
            number |= (byte & 127) << 7 * place
            if byte < 128:
                return number
        raise ValueError("the footer has a number with too many bytes")

    def _signed(self) -> int:
        number = self._number()
        return (number >> 1) ^ -(number & 1)
