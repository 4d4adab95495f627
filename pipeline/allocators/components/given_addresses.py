"""Areas at given addresses, for comparison with a recording; used outside of steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.allocators.components.address_space import FREE, NONE, take

_WINDOW = 4096


def take_at(a: Any, first: int, pages: int) -> bool:
    """Make `pages` pages from `first` on an area in use; return False if some of them are not free.

    The state of a page is FREE unless an area that is not free begins there.
    """
    states = a.slots.state
    if (states[first : first + pages] != FREE).any():
        return False
    below = _last_area(states, first)
    begin = 0 if below == NONE else below + int(a.slots[below].length)
    if begin > first:
        return False
    take(a, begin, first, pages)
    return True


def _last_area(states: np.ndarray, end: int) -> int:
    """First page of the last area that begins before page `end`; NONE if there is none."""
    while end > 0:
        begin = max(end - _WINDOW, 0)
        found = states[begin:end].nonzero()[0]
        if len(found):
            return begin + int(found[-1])
        end = begin
    return NONE
