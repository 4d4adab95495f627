"""What is compiled is put together once: parts become part of an entry, or stay functions of their own."""

import re

import numpy as np
from numba.core import typed_passes, untyped_passes

from pipeline.jit import compiled_marks
from pipeline.jit.dispatchers import emit
from pipeline.jit.libraries import UNUSED
from pipeline.jit.tables import Tables, records

ROW = np.dtype([("value", "i8")])


@compiled_marks.inline
def merged(w, k):
    return w.rows[k].value * 3


@compiled_marks.noinline
def apart(w, k):
    return merged(w, k) + 1


@compiled_marks.entry
def total(w, first):
    return merged(w, first) + apart(w, first)


def test_an_entry_holds_what_it_reaches_and_of_that_only_what_stays_apart_has_a_name():
    code = emit(total, [Tables(checked=True, rows=records(2, ROW)), 1])
    # Names of functions; what Numba calls an environment is named by its function too.
    symbols = re.findall(rb"\x00(_ZN(?!08NumbaEnv)\w+)", code.content)
    names = {name for name in ("total", "apart", "merged") if any(name.encode() in s for s in symbols)}
    assert names == {"total", "apart"}


def test_passes_that_are_left_out_are_numbas():
    known = vars(typed_passes) | vars(untyped_passes)
    assert set(UNUSED) <= set(known)
