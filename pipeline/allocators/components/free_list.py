"""A list of free slots; the slot freed last is taken first.

    head.free    1 + the first free slot; 0: none
    slot.next    1 + the next free slot; 0: none

`head` is a record of the design with a field `free`: that of its pool or of a CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.allocators.api.protocols import State
from pipeline.jit.marks import inline


def fill_free(a: State, head: Any, first: int, last: int) -> None:
    """Put the slots from `first` up to, but not including, `last` on the list in ascending order."""
    head.free = first + 1
    a.slots.next[first:last] = np.arange(first + 2, last + 2)
    a.slots[last - 1].next = 0


@inline
def take_free(a: State, head: Any) -> int:
    """Take the first free slot; the list must not be empty."""
    slot = head.free - 1
    head.free = a.slots[slot].next
    return slot


@inline
def give_free(a: State, head: Any, slot: int) -> None:
    """Put a slot back on the list."""
    a.slots[slot].next = head.free
    head.free = slot + 1


def list_free(following: list[int], head: Any) -> list[int]:
    """Return the slots on the list; more than there are slots if the list is cyclic.

    `following` is the column `next` of all slots.
    """
    found: list[int] = []
    at = int(head.free) - 1
    while at >= 0 and len(found) <= len(following):
        found.append(at)
        at = following[at] - 1
    return found
