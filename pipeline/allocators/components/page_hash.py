"""A hash that finds the slot of a page if the page itself has no field for it.

    slot.page     the mapped page, while it is in the table
    slot.next     1 + the next slot in its chain; 0: none
    slot.bucket   1 + the first slot of the chain with this slot's number; 0: the chain is empty

A table covers `size` slots from slot `first` on. It has as many chains as slots, so the mean length of a
chain is at most one slot. The design determines the cost of a look-up.
"""

from __future__ import annotations

import numpy as np

from pipeline.allocators.api.protocols import State
from pipeline.jit.marks import inline

HASH_FIELDS = [("page", "i8"), ("next", "i4"), ("bucket", "i4")]

# Multiplicative hashing (Knuth): 2**32 over the golden ratio.
_MULTIPLIER = 2_654_435_769


@inline
def _chain(page: int, first: int, size: int) -> int:
    """Number of the page's chain."""
    return first + ((((page * _MULTIPLIER) & 0xFFFFFFFF) * size) >> 32)


@inline
def find_page(a: State, page: int, first: int, size: int) -> int:
    """Return the slot with which the page was entered, or -1."""
    slot = a.slots[_chain(page, first, size)].bucket - 1
    while slot >= 0 and a.slots[slot].page != page:
        slot = a.slots[slot].next - 1
    return slot


@inline
def enter_page(a: State, slot: int, page: int, first: int, size: int) -> None:
    """Enter the page, which must not be in the table, with `slot`."""
    chain = a.slots[_chain(page, first, size)]
    a.slots[slot].page = page
    a.slots[slot].next = chain.bucket
    chain.bucket = slot + 1


@inline
def forget_page(a: State, slot: int, first: int, size: int) -> None:
    """Remove the page that was entered with `slot`."""
    chain = a.slots[_chain(a.slots[slot].page, first, size)]
    if chain.bucket == slot + 1:
        chain.bucket = a.slots[slot].next
        return
    before = chain.bucket - 1
    while a.slots[before].next != slot + 1:
        before = a.slots[before].next - 1
    a.slots[before].next = a.slots[slot].next


def list_entries(a: State, first: int, size: int) -> dict[int, int]:
    """The table's slots and pages, chain by chain; -1: a slot is in it twice or is not its own."""
    # Lists are faster here: a design may have thousands of tables.
    own = np.asarray(a.slots)[first : first + size]
    page, following, buckets = (own[name].tolist() for name in ("page", "next", "bucket"))
    table: dict[int, int] = {}
    for bucket in filter(None, buckets):
        slot = bucket - 1
        while slot >= 0:
            if slot in table or not first <= slot < first + size:
                return table | {slot: -1}
            table[slot] = page[slot - first]
            slot = following[slot - first] - 1
    return table
