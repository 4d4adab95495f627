"""Compiled: hashes of names and numbers, and open-addressing maps whose keys are such hashes.

A hash has 62 bits and is never 0, which stands for a free place. Maps are tables of ENTRY, 2^n long.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.jit.loops import compiled, compiled_inside

ENTRY = np.dtype([("key", "i8"), ("first", "i8"), ("second", "i8")])
# Places of every table made by `name_table`.
NAME_PLACES = 1 << 9

_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_MASK = (1 << 62) - 1


@compiled_inside
def hash_between(text, start, end):  # type: ignore[no-untyped-def]
    """FNV-1a of the bytes of a uint8 array, folded to 62 bits."""
    value = _OFFSET
    for i in range(start, end):
        value = (value ^ np.uint64(text[i])) * _PRIME
    return np.int64(value & np.uint64(_MASK)) | 1


@compiled_inside
def mix(a, b):  # type: ignore[no-untyped-def]
    """Hash two numbers."""
    x = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(b)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return np.int64(x & np.uint64(_MASK)) | 1


@compiled_inside
def find_name(names, key):  # type: ignore[no-untyped-def]
    """Meaning of the name that has the hash `key`, from a table of `name_table`; -1 if it is not there."""
    place = key & (NAME_PLACES - 1)
    while names[place].key != 0:
        if names[place].key == key:
            return names[place].first
        place = (place + 1) & (NAME_PLACES - 1)
    return -1


def name_table(meanings: Mapping[str, int]) -> np.ndarray:
    """Map from the hashes of names to their meanings, for `find_name`."""
    table = np.zeros(NAME_PLACES, ENTRY)
    for name, meaning in meanings.items():
        value = int(_OFFSET)
        for byte in name.encode():
            value = ((value ^ byte) * int(_PRIME)) & 0xFFFFFFFFFFFFFFFF
        key = (value & _MASK) | 1
        place = key & (NAME_PLACES - 1)
        while table["key"][place]:
            place = (place + 1) & (NAME_PLACES - 1)
        table[place] = (key, meaning, 0)
    return table


@compiled_inside
def place(state, key):  # type: ignore[no-untyped-def]
    """Where `key` is in `state.entries`, or the free place where it belongs."""
    last = state.totals[0].places - 1
    i = key & last
    while state.entries[i].key != 0 and state.entries[i].key != key:
        i = (i + 1) & last
    return i


@compiled
def rehash(state, old, places):  # type: ignore[no-untyped-def]
    """Put the entries of another set of tables, which has so many places, into this larger one."""
    for i in range(places):
        if old.entries[i].key != 0:
            state.entries[place(state, old.entries[i].key)] = old.entries[i]
