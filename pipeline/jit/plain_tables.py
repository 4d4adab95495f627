"""Tables for plain Python: objects with attributes, and integers that do not wrap around.

Reading a field of a NumPy record from Python takes longer than all that is then done with the value. While an
entry of an uncompiled simulator runs, its tables are therefore images. A row becomes a Python object at its
first access, and accessed rows are written back to the arrays when the entry returns. Between calls, the
arrays hold the whole state, as with a compiled simulator.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import make_dataclass
from functools import cache
from operator import attrgetter
from typing import Any

import numpy as np

from pipeline.jit.tables import Tables


@cache
def _row_class(dtype: np.dtype) -> tuple[Any, Callable[[Any], Any]]:
    """Return the class of a record's rows, and a function that returns a row's (or a longer one's) values."""
    names = dtype.names or ()
    kind = make_dataclass("Row", names, slots=True, eq=False)
    values = attrgetter(*names)
    return kind, values if len(names) > 1 else lambda row: (values(row),)


class _Records(dict[int, Any]):
    """The accessed rows of an array of records, by index."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__()
        self._array = np.asarray(array)
        self._class, self._values = _row_class(self._array.dtype)

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self._array):
            raise IndexError(f"row {index} of a table of {len(self._array)}")

    def __missing__(self, index: int) -> Any:
        self._check(index)
        row = self._class(*self._array[index].item())
        super().__setitem__(index, row)
        return row

    def __setitem__(self, index: int, row: Any) -> None:
        self._check(index)
        super().__setitem__(index, self._class(*self._values(row)))

    def write_back(self) -> None:
        """Store every row in the array."""
        if self:
            rows = [self._values(row) for row in self.values()]
            self._array[list(self)] = np.array(rows, self._array.dtype)


class _Integers(dict[int, int]):
    """The accessed elements of an array of integers, by index."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__()
        self._array = array

    def __missing__(self, index: int) -> int:
        if not 0 <= index < len(self._array):
            raise IndexError(f"element {index} of a table of {len(self._array)}")
        value = int(self._array[index])
        self[index] = value
        return value

    def write_back(self) -> None:
        """Store every element in the array."""
        if self:
            self._array[list(self)] = list(self.values())


class _Window:
    """A consecutive part of the rows or elements of an image."""

    def __init__(self, image: _Records | _Integers, begin: int, count: int) -> None:
        self._image, self._begin, self._count = image, begin, count

    def _at(self, index: int) -> int:
        if not 0 <= index < self._count:
            raise IndexError(f"row {index} of a table of {self._count}")
        return self._begin + index

    def __getitem__(self, index: int) -> Any:
        return self._image[self._at(index)]

    def __setitem__(self, index: int, row: Any) -> None:
        self._image[self._at(index)] = row


class _View:
    """The tables of one of several allocators (`pipeline.machine.composite`), by their names in `State`."""


class _Image:
    """A set of tables; `made` holds the image of each array, because two sets may share an array."""

    def __init__(self, tables: Tables, made: dict[int, _Records | _Integers]) -> None:
        self.views: defaultdict[int, _View] = defaultdict(_View)
        for name, _ in tables.layout:
            array = getattr(tables, name)
            whole, begin = tables.windows.get(name, (array, 0))
            if id(whole) not in made:
                made[id(whole)] = _Records(whole) if whole.dtype.names else _Integers(whole)
            image: Any = made[id(whole)]
            if whole is not array:
                image = _Window(image, begin, len(array))
            own_name, _, number = name.partition("@")
            setattr(self.views[int(number)] if number else self, own_name, image)


def on_images(entry: Callable[..., Any]) -> Callable[..., Any]:
    """Run an uncompiled entry on images of its `Tables` arguments, and on lists of its array arguments."""

    @functools.wraps(entry)
    def call(*arguments: Any) -> Any:
        made: dict[int, _Records | _Integers] = {}

        def image(argument: Any) -> Any:
            if isinstance(argument, Tables):
                return _Image(argument, made)
            return argument.tolist() if isinstance(argument, np.ndarray) else argument

        images = [image(argument) for argument in arguments]
        try:
            return entry(*images)
        finally:
            for table in made.values():
                table.write_back()

    return call
