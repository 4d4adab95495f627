"""Laying out the state of several allocators as one set of tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.allocators.api.composite import Composite, locks_of
from pipeline.allocators.api.contract import Shape
from pipeline.jit.tables import Tables
from pipeline.jit.tables import records as records_of

FIRST = np.dtype([("slot", "i8"), ("queue", "i8"), ("lock", "i8"), ("task", "i8")], align=True)


def join(composite: Composite, parts: Sequence[Tables], coded: dict[str, int], shape: Shape) -> Tables:
    """Make one set of the allocators' states: `slots@1` is the slots table of allocator 1.

    Tables that the engine reads are joined, and each allocator has a window of the joined table. The tables
    of `CompositeState` record the windows. `coded` are the options as compiled code uses them.
    """
    firsts = records_of(len(parts), FIRST)
    for name, counts in {
        "slot": [len(part.slots) for part in parts],
        "queue": [len(part.queues) for part in parts],
        "lock": locks_of(composite, coded, shape),
        "task": [shape.tasks] * len(parts),
    }.items():
        firsts[name] = np.cumsum([0, *counts[:-1]])
    whole = {name: _join_rows([getattr(part, name) for part in parts]) for name in ("queues", "tlb")}
    shared = {
        "spaces": parts[0].spaces,
        "processes": parts[0].processes,
        # One list for all: each step is of one allocator.
        "invalidated": max((part.invalidated for part in parts), key=len),
    }
    own: dict[str, np.ndarray] = {}
    windows: dict[str, tuple[np.ndarray, int]] = {}
    begins = dict.fromkeys(whole, 0)
    for k, part in enumerate(parts):
        for name, _ in part.layout:
            array = getattr(part, name)
            if name in whole:
                begin = begins[name]
                begins[name] += len(array)
                windows[f"{name}@{k}"] = whole[name], begin
                array = whole[name][begin : begin + len(array)]
            own[f"{name}@{k}"] = shared.get(name, array)
    tables = Tables(
        checked=True,
        serving=np.array(composite.serving_by_kind(), np.int64),
        firsts=firsts,
        within=np.zeros(len(parts) * shape.tasks, np.int64),
        # Only for the engine's prefetch of a line: the table of the allocator that serves most kinds.
        pages=parts[0].pages,
        **whole,
        **shared,
        **own,
    )
    tables.windows = windows
    return tables


def _join_rows(arrays: list[np.ndarray]) -> np.ndarray:
    whole = records_of(sum(map(len, arrays)), arrays[0].dtype)
    begin = 0
    for array in arrays:
        whole[begin : begin + len(array)] = array
        begin += len(array)
    return whole
