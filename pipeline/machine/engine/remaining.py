"""Mappings that remain when the row that made them ends, until another row unmaps them.

`w.mappings` is a hash by the number of the mapping, with open addressing and linear probing; entry `k`
belongs to `w.remaining[k]`, the request that made the mapping.

    mapping.key     1 + the number of the mapping; 0: the entry is free
    mapping.waiter  1 + the task that wants to unmap it and waits until it is made; 0: it is made;
                    -1: it is made and, at the end of the run, logged

Rows that make and unmap a mapping may be of different tasks. In a closed loop the second may be due before
the first is done; its task then waits off CPU. The hash is at most half full: see `simulate.run`.
"""

from __future__ import annotations

from pipeline.jit.marks import inline, noinline
from pipeline.machine.engine import records, scheduler
from pipeline.machine.engine.accounting import log_operation
from pipeline.machine.engine.tables import MachineState

_LOGGED = -1


@inline
def _find(w: MachineState, mapping: int) -> int:
    """Return the entry of a mapping, or the free entry where it would be."""
    last = w.machine[0].mapping_slots - 1
    k = mapping & last
    while w.mappings[k].key != 0 and w.mappings[k].key != mapping + 1:
        k = (k + 1) & last
    return k


@inline
def _add(w: MachineState, k: int, mapping: int) -> None:
    w.mappings[k].key = mapping + 1
    w.mappings[k].waiter = 0
    w.machine[0].remaining += 1


@noinline
def _remove(w: MachineState, k: int) -> None:
    """Free entry `k`, and move entries after it that would not be found any more."""
    last = w.machine[0].mapping_slots - 1
    hole = k
    k = (k + 1) & last
    while w.mappings[k].key != 0:
        home = (w.mappings[k].key - 1) & last
        # The entry may move back to the hole unless its home lies between the two, in the order of probing.
        if ((k - home) & last) >= ((k - hole) & last):
            w.mappings[hole] = w.mappings[k]
            w.remaining[hole] = w.remaining[k]
            hole = k
        k = (k + 1) & last
    w.mappings[hole].key = 0
    w.machine[0].remaining -= 1


@noinline
def keep(w: MachineState, i: int) -> int:
    """Store the mapping of request `i`; return the task that waits for it, or -1."""
    mapping = w.requests[i].mapping
    k = _find(w, mapping)
    waiter = w.mappings[k].waiter - 1 if w.mappings[k].key != 0 else -1
    if waiter < 0:
        _add(w, k, mapping)
    w.mappings[k].waiter = 0
    w.remaining[k] = w.requests[i]
    return waiter


@noinline
def take_over(w: MachineState, task: int, i: int) -> bool:
    """Make request `i`, of an unmap, that of its mapping, which no longer remains.

    If it is not made yet, return False: the task waits for it.
    """
    mapping = w.requests[i].mapping
    k = _find(w, mapping)
    if w.mappings[k].key == 0:
        _add(w, k, mapping)
        w.mappings[k].waiter = task + 1
        w.tasks[task].state = records.T_WAITING
        return False
    pin_wait_ns = w.requests[i].pin_wait_ns
    w.requests[i] = w.remaining[k]
    w.requests[i].pin_wait_ns += pin_wait_ns
    w.requests[i].unmap_task = task
    _remove(w, k)
    return True


@inline
def wake_waiter(w: MachineState, waiter: int, t: int) -> None:
    """Let a task that waits for a mapping request its unmap; -1: none does."""
    if waiter >= 0:
        w.tasks[waiter].resume = records.R_THINK
        scheduler.make_ready(w, waiter, t)


@noinline
def log_rest(w: MachineState) -> bool:
    """Log the mappings that no row has unmapped, until the log is full; return whether that is all."""
    m = w.machine[0]
    for k in range(m.mapping_slots):
        entry = w.mappings[k]
        if entry.key == 0 or entry.waiter != 0:
            continue
        if m.operations_logged >= m.log_operations:
            return False
        r = w.remaining[k]
        r.unmap_asked_ns = -1
        r.done_ns = -1
        r.unmap_task = -1
        log_operation(w, r)
        entry.waiter = _LOGGED
    return True
