"""Shipped distributions of hold times, for recordings that do not contain them."""

from __future__ import annotations

import numpy as np

from pipeline.io.resources import shipped_folder

SOURCE = "traces/holds.csv"
# Number of steps between the evenly spaced quantiles of each distribution.
HOLD_STEPS = 1 << 10
# Start of the holds of faults and of copies in the flattened array.
FAULT_HOLDS, COPY_HOLDS = 0, HOLD_STEPS + 1


def load_holds() -> np.ndarray:
    """Return quantiles of the hold in ns of a fault and of a copy, int64 [2, HOLD_STEPS + 1]."""
    table = np.loadtxt(shipped_folder("traces") / "holds.csv", delimiter=",", skiprows=5)
    at = np.linspace(0, 1, HOLD_STEPS + 1)
    return np.rint([np.interp(at, table[:, 0], table[:, column]) for column in (1, 2)]).astype(np.int64)
