"""The random numbers of a workload: streams for each task, with a position for each purpose.

Each task has its own SFC64 streams, three for each depth of nesting. One is for the fields of every operation
(kind, page, think, wait, hold), one for lengths of mappings, and one for all other purposes. The latter two
are read only if the spec needs them.
The streams are seeded with (seed, stream, task) and read in units of 16 operations, with 16 numbers per
purpose. The operations of a task therefore depend only on the spec, the seed and the task, and not on the
order of generation. A change of one parameter, such as `hold`, does not change any other draw.
"""

from __future__ import annotations

from enum import IntEnum, auto
from math import prod

import numpy as np
from numpy.typing import NDArray

from pipeline.workload.sampling_tables import Index, Raw

UNIT = 16
"""Number of operations of a task that are drawn together."""


class Purpose(IntEnum):
    """The purpose of each number drawn for an operation; changing the order changes all generated traces."""

    KIND = 0
    PAGE = auto()
    THINK = auto()
    WAIT = auto()
    HOLD = auto()
    WAIT_CHANCE = auto()
    BLOCK_CHANCE = auto()
    BLOCK = auto()
    LONG_LIVED = auto()
    BYTES = auto()
    NESTED = auto()
    BURST_CHANCE = auto()
    BURST_IDLE = auto()
    PAGES = auto()


_FIRST_RARE = Purpose.WAIT_CHANCE
_COMMON = _FIRST_RARE.value
_RARE = Purpose.PAGES - _COMMON
# The streams before are those of the other purposes, at all depths.
_FIRST_STREAM_OF_PAGES = 11


class Numbers:
    """Numbers drawn for m tasks x n operations at one depth."""

    def __init__(self, common: Raw, rare: Raw | None, pages: Raw | None) -> None:
        """Wrap uint64 [m, units, purposes, 16]; None if the spec needs none of these purposes."""
        self._common = common
        self._rare = rare
        self._pages = pages

    def of(self, purpose: Purpose, rows: Index | None = None) -> Raw:
        """Return the numbers for one purpose, uint64 [m * n], or those at `rows`."""
        if purpose < _FIRST_RARE:
            column = self._common[:, :, purpose].reshape(-1)
        elif purpose == Purpose.PAGES:
            assert self._pages is not None, "lengths were drawn, but the spec does not need them"
            column = self._pages.reshape(-1)
        else:
            assert self._rare is not None, f"{purpose.name} was drawn, but the spec does not need it"
            column = self._rare[:, :, purpose - _FIRST_RARE].reshape(-1)
        return column if rows is None else column.take(rows)


class Streams:
    """The streams of all tasks at one depth."""

    def __init__(self, seed: int, depth: int, tasks: int, *, rare: bool, pages: bool) -> None:
        """Seed the streams. PAGES can be read with `pages`, and others from WAIT_CHANCE on with `rare`."""
        self._common = [stream(seed, 1 + 2 * depth, task) for task in range(tasks)]
        self._rare = [stream(seed, 2 + 2 * depth, task) for task in range(tasks)] if rare else None
        number = _FIRST_STREAM_OF_PAGES + depth
        self._pages = [stream(seed, number, task) for task in range(tasks)] if pages else None

    def read(self, tasks: NDArray[np.int32], units: int) -> Numbers:
        """Read the numbers of the next `units` x 16 operations of each of `tasks` (m different tasks)."""
        common = _read(self._common, tasks, (units, _COMMON, UNIT))
        rare = _read(self._rare, tasks, (units, _RARE, UNIT)) if self._rare else None
        return Numbers(common, rare, _read(self._pages, tasks, (units, 1, UNIT)) if self._pages else None)


def stream(seed: int, number: int, task: int) -> np.random.SFC64:
    """Return stream `number` of a task: 0 for values that are drawn once, from 1 for operations."""
    return np.random.SFC64(np.random.SeedSequence((seed, number, task)))


def _read(streams: list[np.random.SFC64], tasks: NDArray[np.int32], shape: tuple[int, int, int]) -> Raw:
    numbers = np.empty((len(tasks), prod(shape)), np.uint64)
    for at, task in enumerate(tasks.tolist()):
        numbers[at] = streams[task].random_raw(numbers.shape[1])
    return numbers.reshape(len(tasks), *shape)
