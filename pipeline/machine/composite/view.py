"""What an allocator sees of a request, where there are others: its own slots, its own maps as nesting."""

from __future__ import annotations

from pipeline.allocators.api.protocols import Request, StepCost
from pipeline.jit.marks import inline
from pipeline.machine.engine.tables import CompositeState


@inline
def enter(a: CompositeState, r: Request, k: int) -> int:
    """Show request `r` as allocator `k` is to see it; return its depth in the trace, for `leave`."""
    first = a.firsts[k]
    depth = r.depth
    mine = a.within[first.task + r.task]
    a.within[first.task + r.task] = mine | (1 << depth)
    # A map within another allocator's is the outermost to this one.
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
def leave(a: CompositeState, r: Request, k: int, depth: int) -> None:
    """Show request `r` as the machine sees it."""
    r.depth = depth
    if r.slot >= 0:
        r.slot += a.firsts[k].slot


@inline
def renumber(a: CompositeState, d: StepCost, k: int) -> None:
    """Make the queue, lock and slots that a step of allocator `k` has named those of the whole machine."""
    first = a.firsts[k]
    d.queue += first.queue
    d.lock += first.lock
    for e in range(d.everywhere):
        a.invalidated[e].slot += first.slot
    if d.special != 0:
        d.range_first += first.slot


@inline
def end(a: CompositeState, r: Request, k: int) -> None:
    """Request `r` maps nothing any more."""
    at = a.firsts[k].task + r.task
    a.within[at] &= ~(1 << r.depth)
