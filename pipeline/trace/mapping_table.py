"""What is known of mappings with rows of their own for map and unmap, while the rows of a trace are read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


class MappingTable:
    """The mappings that remain, by ascending number, with an int64 value of each of the columns `names`."""

    def __init__(self, *names: str) -> None:
        """Begin without mappings."""
        self._columns = {name: np.zeros(0, np.int64) for name in ("mapping", *names)}

    def __len__(self) -> int:
        """Return the number of mappings."""
        return len(self._columns["mapping"])

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a column, int64 [mappings]; it can be changed in place."""
        return self._columns[name]

    def add(self, **columns: np.ndarray) -> None:
        """Add mappings, with a value of each column."""
        joined = {name: np.concatenate([old, columns[name]]) for name, old in self._columns.items()}
        order = np.argsort(joined["mapping"], kind="stable")
        self._columns = {name: values[order] for name, values in joined.items()}

    def find(self, numbers: np.ndarray) -> np.ndarray:
        """Return the position of each mapping (int64 [n]) in the columns, -1 for one that does not remain."""
        remaining = self._columns["mapping"]
        if not len(remaining):
            return np.full(len(numbers), -1)
        at = np.minimum(np.searchsorted(remaining, numbers), len(remaining) - 1)
        return np.where(remaining[at] == numbers, at, -1)

    def remove(self, positions: np.ndarray) -> None:
        """Remove the mappings at `positions`."""
        keep = np.ones(len(self), np.bool_)
        keep[positions] = False
        self._columns = {name: values[keep] for name, values in self._columns.items()}


class NumberSet:
    """A set of numbers of mappings, as bits in blocks that exist once they are needed."""

    _BLOCK = 1 << 23

    def __init__(self) -> None:
        """Begin empty."""
        self._blocks: dict[int, np.ndarray] = {}

    def __bool__(self) -> bool:
        """Return whether the set has any number."""
        return bool(self._blocks)

    def add(self, numbers: np.ndarray) -> None:
        """Add numbers of mappings (int64 [n])."""
        for block, _, offset in self._split(numbers):
            if block not in self._blocks:
                self._blocks[block] = np.zeros(self._BLOCK >> 3, np.uint8)
            np.bitwise_or.at(self._blocks[block], offset >> 3, np.left_shift(1, offset & 7).astype(np.uint8))

    def contains(self, numbers: np.ndarray) -> np.ndarray:
        """Return which of the numbers (int64 [n]) are in the set, bool [n]."""
        found = np.zeros(len(numbers), np.bool_)
        for block, where, offset in self._split(numbers):
            if block in self._blocks:
                found[where] = self._blocks[block][offset >> 3] >> (offset & 7) & 1
        return found

    def _split(self, numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield each block of the numbers, their positions, and their offsets in it."""
        if not len(numbers):
            return
        low, high = int(numbers.min()) // self._BLOCK, int(numbers.max()) // self._BLOCK
        if low == high:
            yield low, np.arange(len(numbers)), numbers % self._BLOCK
            return
        blocks = numbers // self._BLOCK
        for block in np.unique(blocks):
            where = np.flatnonzero(blocks == block)
            yield int(block), where, numbers[where] % self._BLOCK
