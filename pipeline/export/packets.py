"""Columnar encoding of protobuf messages: many messages of the same layout are encoded together.

    plane    one byte of each of N messages, and a mask of those that have it; either may be one value for all
    planes   the bytes of a field or a message, in order

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
    """Encode the tag of a field of a message class: its field number and wire type."""
    described = message.DESCRIPTOR.fields_by_name[field]
    sort = {described.TYPE_FIXED64: 1, described.TYPE_MESSAGE: 2}.get(described.type, 0)
    return constant(described.number << 3 | sort)


def constant(value: int) -> list[Plane]:
    """Encode one number for all messages."""
    return [(int(plane[0]), True) for plane, _ in _split(np.array([value], np.uint64))]


def varint(values: Ints) -> list[Plane]:
    """Encode one number per message; a negative number takes ten bytes."""
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
    """Encode a message as a field: tag (`before`), length and content, which `more` bytes follow later."""
    length = more + sum(there if isinstance(there, bool) else there.astype(np.int64) for _, there in planes)
    return before + (varint(length) if isinstance(length, np.ndarray) else constant(length)) + planes


def keep_where(known: Bools, planes: list[Plane]) -> list[Plane]:
    """Restrict planes to the messages for which `known` is true."""
    return planes if known.all() else [(byte, there & known) for byte, there in planes]


def join(planes: list[Plane], count: int) -> pa.Array:
    """Join the planes of `count` messages into one binary value per message."""
    content = np.empty((count, len(planes)), np.uint8)
    there = np.empty((count, len(planes)), np.bool_)
    for position, (byte, has) in enumerate(planes):
        content[:, position] = byte
        there[:, position] = has
    return binary(content[there], there.sum(axis=1))


def binary(content: Bytes, lengths: Ints) -> pa.Array:
    """Split `content` into binary values of the given lengths."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.Array.from_buffers(
        pa.binary(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    )
