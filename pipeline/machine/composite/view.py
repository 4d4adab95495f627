"""What a design sees of a request that it serves beside others: its own slots, and its own maps as nesting.

a.serving    int64[kinds]: which design serves a kind
a.firsts     FIRST[designs]: the number of each one's first slot, queue, lock and record in `within`
a.within     int64[designs * tasks]: bit n: the task's map of depth n is this design's
"""

from __future__ import annotations

from typing import Any

from pipeline.jit.marks import inline


@inline
def enter(a: Any, r: Any, k: int) -> int:
    """Show request `r` as design `k` is to see it; return its depth in the trace, for `leave`."""
    first = a.firsts[k]
    depth = r.depth
    mine = a.within[first.task + r.task]
    a.within[first.task + r.task] = mine | (1 << depth)
    # A map within another design's is the outermost to this one.
    outside = mine & ((1 << depth) - 1)
    own_depth = 0
    while outside != 0:
        outside &= outside - 1
        own_depth += 1
    r.depth = own_depth
    if r.slot >= 0:
        r.slot -= first.slot
    return depth


@inline
def leave(a: Any, r: Any, k: int, depth: int) -> None:
    """Show request `r` as the machine sees it."""
    r.depth = depth
    if r.slot >= 0:
        r.slot += a.firsts[k].slot


@inline
def name_its_own(a: Any, d: Any, k: int) -> None:
    """The queue, lock and slots that the deed of design `k` names are among those of all."""
    first = a.firsts[k]
    d.queue += first.queue
    d.lock += first.lock
    for e in range(d.everywhere):
        a.invalidated[e].slot += first.slot


@inline
def end(a: Any, r: Any, k: int) -> None:
    """Request `r` maps nothing any more."""
    at = a.firsts[k].task + r.task
    a.within[at] &= ~(1 << r.depth)
