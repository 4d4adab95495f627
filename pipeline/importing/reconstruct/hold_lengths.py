"""How long a page stays mapped where a recording does not say: the shipped distributions."""

from __future__ import annotations

import numpy as np

from pipeline.io.resources import shipped_folder

SOURCE = "traces/holds.csv"
# Each distribution is given at evenly spaced quantiles, so many steps from the least to the longest.
HOLD_STEPS = 1 << 10
# Where the holds of faults and of copies begin, if both lie in one array.
FAULT_HOLDS, COPY_HOLDS = 0, HOLD_STEPS + 1


def load_holds() -> np.ndarray:
    """CPU time in ns of a fault's and of a copy's mapping, int64 [2, HOLD_STEPS + 1]."""
    table = np.loadtxt(shipped_folder("traces") / "holds.csv", delimiter=",", skiprows=5)
    at = np.linspace(0, 1, HOLD_STEPS + 1)
    return np.rint([np.interp(at, table[:, 0], table[:, column]) for column in (1, 2)]).astype(np.int64)
