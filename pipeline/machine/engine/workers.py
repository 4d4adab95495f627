"""Workers: tasks of the design, which sleep until a step wakes them and then run its `work_step`.

Worker `k` is task `machine.tasks + k`, with one request that belongs to no row:

    tk.rows_left    1: it was woken while it ran, and begins again when it is done
    r.asked_ns      when it was woken
    r.mapped_ns     when it took its first step; -1: it has not

Like a work item of a kernel's work queue: waking one that has not begun has no effect.
"""

from __future__ import annotations

from typing import Any

from pipeline.jit.marks import inline, noinline
from pipeline.machine.engine import records, scheduler
from pipeline.machine.engine.accounting import log_event
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes


@inline
def _begin(r: Any, t: int) -> None:
    r.asked_ns = t
    r.mapped_ns = -1
    r.step = 0


@noinline
def wake_worker(w: MachineState, k: int, t: int) -> bool:
    """Wake worker `k`; return whether it slept."""
    m = w.machine[0]
    task = m.tasks + k
    tk = w.tasks[task]
    r = w.requests[task * m.levels]
    if tk.state == records.T_DORMANT:
        _begin(r, t)
        tk.resume = records.R_STEP
        scheduler.make_ready(w, task, t)
        return True
    if r.mapped_ns >= 0:
        tk.rows_left = 1
    return False


@inline
def begin_work(r: Any, t: int) -> None:
    """Record the first step of a worker; called before each step of any request."""
    if r.unmapping == codes.WORK and r.mapped_ns < 0:
        r.mapped_ns = t


@noinline
def end_work(w: MachineState, c: int, task: int, i: int, t: int) -> int:
    """End a worker's run: it sleeps, or begins again. Return the phase that follows."""
    tk = w.tasks[task]
    r = w.requests[i]
    begun = r.mapped_ns
    number = task - w.machine[0].tasks
    log_event(w, c, codes.E_WORK, begun, t - begun, task, -1, -1, begun - r.asked_ns, number)
    if tk.rows_left != 0:
        tk.rows_left = 0
        _begin(r, t)
        return records.P_STEP
    tk.state = records.T_DORMANT
    return records.P_PICK
