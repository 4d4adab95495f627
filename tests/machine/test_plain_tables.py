"""What plain Python sees of the tables while an entry runs, and what is left in the arrays after it."""

from typing import Any

import numpy as np
import pytest

from pipeline.jit.marks import wrap64
from pipeline.jit.plain_tables import on_images
from pipeline.jit.tables import Tables, records

LONG = np.dtype([("time_ns", "i8"), ("cpu", "i2"), ("mark", "i4")], align=True)
SHORT = np.dtype([("time_ns", "i8"), ("cpu", "i2")], align=True)


def tables() -> Tables:
    return Tables(
        checked=True, long=records(3, LONG), short=records(3, SHORT), numbers=np.arange(4, dtype=np.int32)
    )


def test_changes_are_in_the_arrays_when_the_entry_returns() -> None:
    def entry(t: Any) -> int:
        t.long[2].cpu += 5
        t.numbers[1] = 40
        return t.numbers[1] + t.numbers[3]

    given = tables()
    assert on_images(entry)(given) == 43
    assert given.long.cpu.tolist() == [0, 0, 5]
    assert given.numbers.tolist() == [0, 40, 2, 3]


def test_a_record_that_is_put_into_a_table_is_copied_as_far_as_its_fields_go() -> None:
    def entry(t: Any) -> None:
        t.long[0].time_ns = 8
        t.short[1] = t.long[0]
        t.long[0].time_ns = 9

    given = tables()
    on_images(entry)(given)
    assert given.short.time_ns.tolist() == [0, 8, 0]
    assert given.long.time_ns.tolist() == [9, 0, 0]


def test_two_sets_share_the_table_they_have_in_common() -> None:
    def entry(one: Any, other: Any) -> int:
        one.common[0] = 7
        return int(other.common[0])

    common = np.zeros(1, np.int64)
    assert on_images(entry)(Tables(False, common=common), Tables(True, common=common)) == 7
    assert common.tolist() == [7]


@pytest.mark.parametrize("index", [-1, 3])
def test_a_row_that_is_not_there_is_refused(index: int) -> None:
    def read(t: Any) -> None:
        t.long[index].cpu = 1

    def put(t: Any) -> None:
        t.short[index] = t.long[0]

    for entry in (read, put):
        with pytest.raises(IndexError, match=f"row {index} of a table of 3"):
            on_images(entry)(tables())


@pytest.mark.parametrize(
    "value", [0, -1, (1 << 63) - 1, 1 << 63, -(1 << 63) - 1, 3 << 100, 0x9E3779B97F4A7C15**3]
)
def test_wrap64_is_what_a_signed_64_bit_integer_holds(value: int) -> None:
    low = value & ((1 << 64) - 1)
    assert wrap64(value) == int(np.array([low], np.uint64).view(np.int64)[0])
