"""Calls of the allocator; no other module calls it."""

from __future__ import annotations

from pipeline.allocators.api.protocols import State
from pipeline.allocators.api.traits import ATOMICS, NON_GLOBAL, WORKERS, switch_in, switch_out, work_step
from pipeline.jit.marks import entry, inline, noinline
from pipeline.machine.engine.allocator import map_step, unmap_step
from pipeline.machine.engine.step_record import reset
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes


@inline
def call_allocator(w: MachineState, a: State, i: int, c: int) -> int:
    """Take the allocator's next step for request `i` on CPU `c`; return its action.

    The cost of the step is in `w.step_cost`.
    """
    r = w.requests[i]
    d = w.step_cost[0]
    reset(d)
    d.cpu = c
    if NON_GLOBAL:
        d.moment = w.machine[0].space_switches
    if ATOMICS:
        d.now_ns = w.machine[0].now_ns
    if WORKERS and r.unmapping == codes.WORK:
        return work_step(a, r, d)
    return map_step(a, r, d) if r.unmapping == codes.MAP else unmap_step(a, r, d)


@noinline
def switching_ns(w: MachineState, a: State, task: int, c: int, coming: int) -> int:
    """Let the allocator switch the task's mappings in or out on CPU `c`; return the time it takes, in ns."""
    d = w.step_cost[0]
    reset(d)
    d.cpu = c
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
    return d.work_ns + d.flush_ns


@entry
def step(w: MachineState, a: State, i: int, c: int) -> int:
    """Take one step of request `i` outside a simulation; the caller decides the order of steps."""
    return call_allocator(w, a, i, c)
