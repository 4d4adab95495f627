"""Calling compiled functions by their machine code: what it gives, what it raises, and when it is made."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from pipeline.jit.dispatchers import emit, make_dispatcher
from pipeline.jit.machine_code import CompiledFunction
from pipeline.jit.tables import Tables

PAIR = np.dtype([("first", np.int64), ("second", np.int32)])


def weigh(tables, factors, start, stop):
    """Raises what a compiled step may raise."""
    total = 0
    for k in range(start, stop):
        tables.pairs[k].second = 7
        total += tables.pairs[k].first * factors[k]
    if total < 0:
        raise ArithmeticError("a negative weight")
    return total


def forget(tables):
    tables.pairs[0].first = 0


@pytest.fixture
def made(tmp_path):
    """`weigh`, compiled, and the arguments that it was compiled for."""
    compiled = []

    def compile_it(arguments):
        compiled.append(arguments)
        return emit(make_dispatcher(weigh, no_cpython_wrapper=True), arguments)

    return CompiledFunction(lambda: tmp_path, "weigh", compile_it), compiled


def pairs(count: int, checked: bool = True) -> Tables:
    table = np.zeros(count, PAIR).view(np.recarray)
    table.first = np.arange(1, count + 1) << 33
    return Tables(checked, pairs=table)


def test_arguments_and_results_are_whole_words(made):
    weigh, _ = made
    tables = pairs(4)
    assert weigh(tables, np.array([1, -1, 2, 5], np.int8), 1, 3) == (6 - 2) << 33
    assert tables.pairs.second.tolist() == [0, 7, 7, 0]
    assert weigh(tables, np.array([1, 0, 0, 0], np.int8), np.int64(0), 4) == 1 << 33


def test_it_is_compiled_once_for_each_sort_of_arguments(made, tmp_path):
    weigh, compiled = made
    bytes_, words = np.ones(4, np.int8), np.ones(4, np.int64)
    for factors in (bytes_, words, bytes_, words):
        weigh(pairs(4), factors, 0, 4)
    assert len(compiled) == len(list(tmp_path.iterdir())) == 2
    weigh(pairs(4, checked=False), bytes_, 0, 4)
    assert len(compiled) == 3


def test_what_it_raises_is_raised(made):
    weigh, _ = made
    with pytest.raises(ArithmeticError, match="a negative weight"):
        weigh(pairs(4), np.full(4, -1), 0, 4)
    with pytest.raises(IndexError, match="a design indexed beyond one of its tables"):
        weigh(pairs(4), np.ones(9, np.int64), 0, 5)


def test_arrays_that_are_not_contiguous_are_refused(made):
    weigh, compiled = made
    with pytest.raises(ValueError, match="weigh: expected a contiguous"):
        weigh(pairs(4), np.ones(8, np.int64)[::2], 0, 4)
    assert compiled == []


@pytest.mark.parametrize("damage", [lambda file: file[:-9], lambda file: b"", lambda file: b"{}\n" + file])
def test_a_damaged_file_is_compiled_anew(made, tmp_path, damage):
    weigh, compiled = made
    weigh(pairs(4), np.ones(4, np.int8), 0, 4)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    again = CompiledFunction(lambda: tmp_path, "weigh", weigh._emit)
    assert again(pairs(4), np.ones(4, np.int8), 0, 4) == 10 << 33
    assert len(compiled) == 2


def test_what_returns_anything_but_integers_is_refused(tmp_path):
    def half(tables):
        return tables.pairs[0].first / 2

    compiled = CompiledFunction(
        lambda: tmp_path, "half", lambda arguments: emit(make_dispatcher(half), arguments)
    )
    with pytest.raises(TypeError, match="half: expected int64 as result, found float64"):
        compiled(pairs(1))
    assert list(tmp_path.iterdir()) == []


def test_floats_and_integers_are_told_apart(tmp_path):
    def scale(tables, share, count, other):
        return math.floor(tables.pairs[0].first * share) + count * math.floor(other + 0.5)

    compiled = CompiledFunction(
        lambda: tmp_path, "scale", lambda arguments: emit(make_dispatcher(scale), arguments)
    )
    assert compiled(pairs(1), 0.75, 3, 0.5) == (3 << 31) + 3
    assert compiled(pairs(1), 2, 3, np.float64(1.5)) == (1 << 34) + 6
    assert len(list(tmp_path.iterdir())) == 2


def test_a_function_without_result_gives_zero(tmp_path):
    compiled = CompiledFunction(
        lambda: tmp_path, "forget", lambda arguments: emit(make_dispatcher(forget), arguments)
    )
    tables = pairs(1)
    assert compiled(tables) == 0
    assert tables.pairs[0].first == 0


LATER = """
import sys
from pathlib import Path
import numpy as np
from pipeline.jit.machine_code import CompiledFunction
from pipeline.jit.tables import Tables
table = np.ones(4, [("first", np.int64), ("second", np.int32)]).view(np.recarray)
weigh = CompiledFunction(lambda: Path(sys.argv[1]), "weigh", None)
print(weigh(Tables(True, pairs=table), np.full(4, 3, np.int8), 0, 4), "numba" in sys.modules)
"""


def test_a_later_process_calls_it_without_numba(made, tmp_path):
    weigh, _ = made
    weigh(pairs(4), np.ones(4, np.int8), 0, 4)
    done = subprocess.run([sys.executable, "-c", LATER, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "12 False\n"
