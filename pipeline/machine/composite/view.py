"""An allocator's view of a request in a composite: its own slot numbers, and only its own maps as nesting."""

from __future__ import annotations

from pipeline.allocators.api.protocols import Request, StepCost
from pipeline.jit.marks import inline
from pipeline.machine.engine.tables import CompositeState


@inline
def enter(a: CompositeState, r: Request, k: int) -> int:
    """Convert request `r` to the view of allocator `k`; return its depth in the trace, for `leave`."""
    first = a.firsts[k]
    depth = r.depth
    mine = a.within[first.task + r.task]
    a.within[first.task + r.task] = mine | (1 << depth)
    # For this allocator, a map within another allocator's map is the outermost.
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
    """Convert request `r` back to the view of the machine."""
    r.depth = depth
    if r.slot >= 0:
        r.slot += a.firsts[k].slot


@inline
def renumber(a: CompositeState, d: StepCost, k: int) -> None:
    """Convert the queue, lock and slots of a step of allocator `k` to those of the whole machine."""
    first = a.firsts[k]
    d.queue += first.queue
    d.lock += first.lock
    for e in range(d.everywhere):
        a.invalidated[e].slot += first.slot
    if d.special != 0:
        d.range_first += first.slot


@inline
def end(a: CompositeState, r: Request, k: int) -> None:
    """Record that request `r` no longer maps anything."""
    at = a.firsts[k].task + r.task
    a.within[at] &= ~(1 << r.depth)
