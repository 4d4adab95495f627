"""What the footer of a Parquet file says of a column's values.

pyarrow ends the process where it is asked this of a damaged footer: C++ throws where it expects no error. So
the footer is decoded here: it is one Thrift struct in the compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), and its fields have the
numbers of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# The length of the footer and the file's mark, at its end.
_TAIL_BYTES = 8
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = *range(1, 11), 12
_LONGEST_NUMBER = 10

_ROW_GROUPS, _COLUMNS, _META_DATA, _TYPE, _STATISTICS, _MAX_VALUE = 4, 1, 3, 1, 12, 5
# Bytes of a value, by the number of its type: INT32 and INT64.
_SIZES = {1: 4, 2: 8}

Struct = dict[int, Any]


def read_footer(path: Path) -> Struct:
    """The footer of a file: values by the numbers of their fields.

    Raises ValueError, IndexError, OSError or RecursionError for one that is damaged.
    """
    with path.open("rb") as file:
        end = file.seek(-_TAIL_BYTES, 2)
        size = int.from_bytes(file.read(4), "little")
        file.seek(end - size)
        return _Decoder(file.read(size)).struct()


def column_maximum(footer: Struct, index: int) -> int | None:
    """Largest value of the integer column `index` by the statistics of a file; -1 if it has no row groups.

    None where the statistics do not tell. Raises ValueError, IndexError, KeyError or TypeError for a footer
    that is damaged.
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
    # Of a damaged footer it may be something else, which raises TypeError.
    if number in struct:
        return struct[number]
    return otherwise


class _Decoder:
    """Values of the compact protocol, one after another."""

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
        raise ValueError(f"a footer has a value of type {kind}")

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        self._at += count
        if self._at > len(self._content):
            raise ValueError("a footer ends within a value")
        return self._content[self._at - count : self._at]

    def _number(self) -> int:
        number = 0
        for place in range(_LONGEST_NUMBER):
            byte = self._byte()
            number |= (byte & 127) << 7 * place
            if byte < 128:
                return number
        raise ValueError("a footer has a number of too many bytes")

    def _signed(self) -> int:
        number = self._number()
        return (number >> 1) ^ -(number & 1)
