"""Rows of a trace in memory, as columns, on their way from the draws to the file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Index = NDArray[np.intp]


@dataclass
class Rows:
    """Trace rows as columns of one length n; names, units and meanings as in the trace format.

    `task` is numbered as in the spec and `bytes` is -1 where unknown; the process follows from the task.
    """

    time_ns: Integers
    task: NDArray[np.int32]
    kind: NDArray[np.int8]
    page: Integers
    bytes: NDArray[np.int32]
    think_ns: Integers
    wait_ns: Integers
    hold_ns: Integers
    block_ns: Integers
    depth: NDArray[np.int8]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time_ns)


ROW_COLUMNS = tuple(Rows.__dataclass_fields__)


def take(rows: Rows, index: Index) -> Rows:
    """Rows at `index`, in its order."""
    return Rows(**{name: getattr(rows, name).take(index) for name in ROW_COLUMNS})


def head(rows: Rows, count: int) -> Rows:
    """The first `count` rows, without a copy."""
    return Rows(**{name: getattr(rows, name)[:count] for name in ROW_COLUMNS})


def concatenate(parts: list[Rows]) -> Rows:
    """All rows of `parts` (at least one), one part after the other."""
    if len(parts) == 1:
        return parts[0]
    return Rows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in ROW_COLUMNS})
