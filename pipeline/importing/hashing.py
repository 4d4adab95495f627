"""Compiled hashes of numbers, and open-addressing maps with these hashes as keys.

A hash has 62 bits and is never 0, because 0 marks a free place. Maps are tables of 2^n ENTRY records.
"""

from __future__ import annotations

import numpy as np

from pipeline.jit.loops import compiled, compiled_inside

ENTRY = np.dtype([("key", "i8"), ("first", "i8"), ("second", "i8")])

_MASK = (1 << 62) - 1


@compiled_inside
def mix(a, b):  # type: ignore[no-untyped-def]
    """Hash two numbers."""
    x = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(b)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return np.int64(x & np.uint64(_MASK)) | 1


@compiled_inside
def place(state, key):  # type: ignore[no-untyped-def]
    """Return the index of `key` in `state.entries`, or of the free place for it."""
    last = state.totals[0].places - 1
    i = key & last
    while state.entries[i].key != 0 and state.entries[i].key != key:
        i = (i + 1) & last
    return i


@compiled
def rehash(state, old, places):  # type: ignore[no-untyped-def]
    """Insert the `places` entries of the table `old` into this larger table."""
    for i in range(places):
        if old.entries[i].key != 0:
            state.entries[place(state, old.entries[i].key)] = old.entries[i]
