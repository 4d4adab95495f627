"""Asking a design for its next step: the one place where a design is called."""

from __future__ import annotations

from typing import Any

from pipeline.jit.marks import entry, inline, noinline
from pipeline.machine.engine.allocator import map_step, unmap_step
from pipeline.machine.engine.records import MAP
from pipeline.machine.engine.traits import ATOMICS, NON_GLOBAL, switch_in, switch_out


@inline
def call_allocator(w: Any, a: Any, i: int, c: int) -> int:
    """Call the design for request `i` on CPU `c`; return its action. What it did is in the deed."""
    r = w.requests[i]
    d = w.step_cost[0]
    d.cpu = c
    d.lock = 0
    d.queue = 0
    d.pin = 0
    d.atomic = 0
    d.finding = -1
    d.shared_entries = 0
    d.recent_entries = 0
    d.local_entries = 0
    d.probes = 0
    d.scans = 0
    d.scanned = 0
    d.freed = 0
    d.evicted = 0
    d.in_use = 0
    d.pte_writes = 0
    d.invalidations = 0
    d.everywhere = 0
    if NON_GLOBAL:
        d.moment = w.machine[0].space_switches
    if ATOMICS:
        d.now_ns = w.machine[0].now_ns
        d.lines_ns = 0
        d.atomic_ns = w.costs[0].atomic_ns
        d.line_transfer_ns = w.costs[0].line_transfer_ns
    return map_step(a, r, d) if r.unmapping == MAP else unmap_step(a, r, d)


@noinline
def switching_ns(w: Any, a: Any, task: int, c: int, coming: int) -> int:
    """Let the design switch out, or in, what the task has mapped on CPU `c`; return how long that takes."""
    costs = w.costs[0]
    d = w.step_cost[0]
    d.cpu = c
    d.local_entries = 0
    d.pte_writes = 0
    d.invalidations = 0
    first = task * w.machine[0].levels
    for level in range(w.tasks[task].depth + 1):
        r = w.requests[first + level]
        if r.slot < 0:
            continue
        before = d.invalidations
        if coming == 1:
            switch_in(a, r, d)
        else:
            switch_out(a, r, d)
        r.local_flushes += d.invalidations - before
    w.machine[0].local_flushes += d.invalidations
    return (
        d.local_entries * costs.local_entry_ns
        + d.pte_writes * costs.pte_write_ns
        + d.invalidations * costs.invalidate_ns
    )


@entry
def step(w: Any, a: Any, i: int, c: int) -> int:
    """Take one step of request `i` outside a simulation, for whoever decides the order of steps himself."""
    return call_allocator(w, a, i, c)
