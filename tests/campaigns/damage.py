"""Damage to bytes and to text, drawn by a generator: the same seed damages in the same way."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Damage = Callable[[bytes, random.Random], bytes]

# What has broken parsers: control bytes, text that is no UTF-8, numbers without bounds, markup, escapes.
ODD = (
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"\xe2\x80\xae",
    b"\x1b[31m",
    b"\x1b]0;title\x07",
    b"\r\n",
    b"\r",
    b"\n\n",
    b"\t",
    b" " * 300,
    b"9" * 19,
    b"9" * 5_000,
    b"-1",
    b"0x" + b"f" * 40,
    b"1e999",
    b"nan",
    b"inf",
    b"-0",
    b"%s%n",
    b"<script>alert(1)</script>",
    b"'\"`|\\",
    b"[" * 50,
    b"{" * 50,
    b"[[a]]\n",
    b"a = 1\n",
    b"=",
    b"#",
    b",",
    b"../../etc/passwd",
    b"/etc/passwd",
    b"\xd9\xa3",
    b"\xf0\x9f\x92\xa5",
    b"a" * 3_000,
)
_NUMBER = re.compile(rb"[0-9]+")
_NUMBERS = (
    b"0",
    b"1",
    b"-1",
    b"127",
    b"128",
    b"32768",
    b"2147483647",
    b"2147483648",
    b"4294967296",
    b"70368744177664",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"9" * 40,
    b"0.5",
    b"1e9",
    b"1e400",
    b"0x7fffffffffffffff",
)


def _flip(data: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return bytes(damaged)


def _flip_bit(data: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _remove(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 2, 10, 100, 1_000)) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at, length = rng.randrange(len(data)), rng.choice((1, 10, 100, 1_000))
    return data[: at + length] + data[at:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(ODD) + data[at:]


def _insert_random(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 8, 100))) + data[at:]


def _number(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    number = _NUMBER.search(data, at) or _NUMBER.search(data)
    if number is None:
        return data
    return data[: number.start()] + rng.choice(_NUMBERS) + data[number.end() :]


def _drop_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def _move_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines)), lines.pop(rng.randrange(len(lines))))
    return b"".join(lines)


def _double_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return b"".join(lines)


def _end_lines_as_dos(data: bytes, _rng: random.Random) -> bytes:
    return data.replace(b"\n", b"\r\n")


_OF_BYTES: tuple[Damage, ...] = (
    _flip,
    _flip,
    _flip_bit,
    _flip_bit,
    _cut,
    _remove,
    _repeat,
    _insert,
    _insert_random,
)
_OF_TEXT: tuple[Damage, ...] = (
    _flip,
    _flip_bit,
    _cut,
    _remove,
    _repeat,
    _insert,
    _insert,
    _number,
    _number,
    _drop_line,
    _move_line,
    _double_line,
    _end_lines_as_dos,
)


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return `data` with one to three places damaged."""
    return _damage(data, rng, _OF_BYTES)


def damage_text(data: bytes, rng: random.Random) -> bytes:
    """Return text with one to three places damaged, as people and tools damage it."""
    return _damage(data, rng, _OF_TEXT)


def _damage(data: bytes, rng: random.Random, kinds: tuple[Damage, ...]) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 3))):
        if data:
            data = rng.choice(kinds)(data, rng)
    return data
