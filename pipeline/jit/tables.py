"""A named set of one-dimensional arrays of records or integers, the form of all state for the engine.

`tables.cpus[3].phase` has the same meaning in plain Python and in compiled code. In compiled code the whole
set is one pointer, so functions are cheap to call and quick to compile, unlike with a tuple of NumPy arrays.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np


class Tables:
    """Arrays by name, in a fixed order. Only `rebind` replaces an array.

    `checked` says whether compiled code checks indices, as it does for the tables of a design. `windows` has
    an entry for each array that is a part of another one: that array, and the index at which the part begins.

    Raises ValueError for an array that is not one-dimensional and contiguous, as compiled code requires.
    """

    def __init__(self, checked: bool, **arrays: np.ndarray) -> None:
        self.checked = checked
        self.windows: dict[str, tuple[np.ndarray, int]] = {}
        for name, array in arrays.items():
            if array.ndim != 1 or not array.flags.c_contiguous:
                raise ValueError(f"{name}: expected a contiguous one-dimensional array")
            setattr(self, name, array)
        self.layout = tuple((name, array.dtype) for name, array in arrays.items())
        # Address and length of each array, as compiled code reads them.
        self.addresses = np.array(
            [word for array in arrays.values() for word in (array.ctypes.data, array.size)], np.int64
        )
        self.address = int(self.addresses.ctypes.data)

    @cached_property
    def layout_name(self) -> str:
        """Hash of everything for which code is specialised: names and types of the tables, and `checked`."""
        return hashlib.sha256(repr((self.layout, self.checked)).encode()).hexdigest()

    def rebind(self, name: str, array: np.ndarray) -> None:
        """Replace a table by another array of the same type, between calls of compiled code."""
        position = [known for known, _ in self.layout].index(name)
        setattr(self, name, array)
        self.addresses[2 * position : 2 * position + 2] = array.ctypes.data, array.size

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no table '{name}'; there are {', '.join(n for n, _ in self.layout)}")


def records(count: int, dtype: np.dtype) -> np.ndarray:
    """Return `count` zeroed records, aligned to a cache line; untouched pages take no memory."""
    line = 64
    raw = np.zeros(count * dtype.itemsize + line, np.uint8)
    offset = -raw.ctypes.data % line
    return raw[offset : offset + count * dtype.itemsize].view(dtype).view(np.recarray)
