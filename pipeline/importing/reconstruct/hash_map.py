"""Compiled: one open-addressing map for everything that has a name, in an array [place, 3].

A row is a key, a hash of 62 bits that says what sort of thing it is too (0: free), and two values.
"""

from __future__ import annotations

from pipeline.jit.loops import compiled, compiled_inside


@compiled_inside
def place(entries, key):  # type: ignore[no-untyped-def]
    """Where `key` is, or the free place where it belongs."""
    i = key & (len(entries) - 1)
    while entries[i, 0] != 0 and entries[i, 0] != key:
        i = (i + 1) & (len(entries) - 1)
    return i


@compiled
def rehash(entries, old):  # type: ignore[no-untyped-def]
    """Put old entries into a larger map."""
    for i in range(len(old)):
        if old[i, 0] != 0:
            entries[place(entries, old[i, 0])] = old[i]
