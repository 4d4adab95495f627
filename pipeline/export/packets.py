"""Protobuf messages by the column: the bytes of many messages of one shape at once.

    plane    one byte of each of N messages, and which of them have it; either may be the same for all
    planes   the bytes of a field or a message, in their order

Encoding: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.export.tracks import Bools, Ints

Bytes = npt.NDArray[np.uint8]
Plane = tuple["int | Bytes", "bool | Bools"]


def tag(message: Any, field: str) -> list[Plane]:
    """Bytes before a field of a message class: its number, and how its value is written."""
    described = message.DESCRIPTOR.fields_by_name[field]
    sort = {described.TYPE_FIXED64: 1, described.TYPE_MESSAGE: 2}.get(described.type, 0)
    return constant(described.number << 3 | sort)


def constant(value: int) -> list[Plane]:
    """One number for all messages."""
    return [(int(plane[0]), True) for plane, _ in _split(np.array([value], np.uint64))]


def varint(values: Ints) -> list[Plane]:
    """A number for each message; negative ones take ten bytes."""
    return list(_split(values.astype(np.uint64)))


def _split(rest: npt.NDArray[np.uint64]) -> list[tuple[Bytes, bool | Bools]]:
    planes: list[tuple[Bytes, bool | Bools]] = []
    there: bool | Bools = True
    most = int(rest.max(initial=0))
    while most > 127:
        more = rest > 127
        planes.append(((rest & 127 | more.astype(np.uint64) << 7).astype(np.uint8), there))
        rest, there, most = rest >> np.uint64(7), more, most >> 7
    planes.append((rest.astype(np.uint8), there))
    return planes


def message(before: list[Plane], planes: list[Plane], more: Ints | int = 0) -> list[Plane]:
    """A message as a field: its tag, its length and itself; `more` bytes of it are added later."""
    length = more + sum(there if isinstance(there, bool) else there.astype(np.int64) for _, there in planes)
    return before + (varint(length) if isinstance(length, np.ndarray) else constant(length)) + planes


def keep_where(known: Bools, planes: list[Plane]) -> list[Plane]:
    """The same for some of the messages, nothing for the others."""
    return planes if known.all() else [(byte, there & known) for byte, there in planes]


def join(planes: list[Plane], count: int) -> pa.Array:
    """Put the bytes together: `count` binary values."""
    content = np.empty((count, len(planes)), np.uint8)
    there = np.empty((count, len(planes)), np.bool_)
    for position, (byte, has) in enumerate(planes):
        content[:, position] = byte
        there[:, position] = has
    return binary(content[there], there.sum(axis=1))


def binary(content: Bytes, lengths: Ints) -> pa.Array:
    """Cut bytes into binary values."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.Array.from_buffers(
        pa.binary(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    )
