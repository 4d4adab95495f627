"""A list of unused slots, the longest unused first; any of them can be removed.

pool.oldest                1 + the slot that has been unused for the longest time; 0: none is unused
pool.newest                1 + the slot that became unused last
slot.before, slot.after    1 + the neighbouring slots in the list; 0: none
"""

from __future__ import annotations

import numpy as np

from pipeline.allocators.api.protocols import State
from pipeline.jit.marks import inline

LRU_POOL = [("oldest", "i4"), ("newest", "i4")]
LRU_SLOT = [("before", "i4"), ("after", "i4")]


def fill_unused(a: State, size: int) -> None:
    """Put every slot on the list, in ascending order."""
    a.slots.before[:size] = np.arange(size)
    a.slots.after[:size] = np.arange(2, size + 2)
    a.slots[size - 1].after = 0
    a.pool[0].oldest = 1
    a.pool[0].newest = size


@inline
def take_unused(a: State, at: int) -> None:
    """Remove a slot from the list; it must be on it."""
    pool = a.pool[0]
    slot = a.slots[at]
    if slot.before > 0:
        a.slots[slot.before - 1].after = slot.after
    else:
        pool.oldest = slot.after
    if slot.after > 0:
        a.slots[slot.after - 1].before = slot.before
    else:
        pool.newest = slot.before


@inline
def add_unused(a: State, at: int) -> None:
    """Append a slot to the list."""
    pool = a.pool[0]
    slot = a.slots[at]
    slot.before = pool.newest
    slot.after = 0
    if pool.newest > 0:
        a.slots[pool.newest - 1].after = at + 1
    else:
        pool.oldest = at + 1
    pool.newest = at + 1


def list_unused(a: State) -> list[int]:
    """Return the slots on the list; more than there are slots if the list is cyclic."""
    found: list[int] = []
    after = a.slots.after.tolist()
    at = int(a.pool[0].oldest) - 1
    while at >= 0 and len(found) <= len(after):
        found.append(at)
        at = after[at] - 1
    return found
