"""Which task runs where.

The machine has one first-come, first-served queue of ready tasks, and each CPU has one for tasks pinned to
it. A task that becomes ready goes to the CPU it last ran on if that CPU is idle, else to the idle CPU with
the lowest number, else to the queue. Kernel code (map, unmap, use of a mapping) is never preempted. A task
that computes is preempted when its time slice has ended and another task waits. It is also preempted when it
has computed for `preempt_after_ns` and a task becomes ready that last ran on its CPU.
"""

from __future__ import annotations

from pipeline.allocators.api.traits import HOOKS_SWITCHES, NON_GLOBAL, TRACKS_SWITCHES
from pipeline.jit.marks import inline, noinline, prefetch
from pipeline.machine.engine import records
from pipeline.machine.engine.accounting import account, log_event
from pipeline.machine.engine.agenda import clear_key, set_key
from pipeline.machine.engine.interrupts import take_interrupts
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes


@inline
def running_op(w: MachineState, task: int) -> int:
    """Return the task's current operation, or -1."""
    tk = w.tasks[task]
    if tk.depth < 0:
        return -1
    return w.requests[task * w.machine[0].levels + tk.depth].op


@inline
def _enter_space(w: MachineState, c: int, process: int) -> int:
    """Switch CPU `c` to the address space of `process`; return the additional cost, in ns."""
    space = w.spaces[c]
    if space.process == process:
        return 0
    m = w.machine[0]
    costs = w.costs[0]
    m.space_switches += 1
    space.process = process
    takes_ns = costs.track_switch_ns if TRACKS_SWITCHES else 0
    if costs.switch_empties_tlb == 0:
        if w.processes[process].forgotten <= space.emptied:
            return takes_ns
        takes_ns += costs.tlb_flush_ns
    space.emptied = m.space_switches
    w.cpus[c].epoch += 1
    return takes_ns


@noinline
def dispatch(w: MachineState, c: int, task: int, t: int) -> None:
    """Begin to switch CPU `c`, which is idle or has just given up its task, to `task`."""
    m = w.machine[0]
    cpu = w.cpus[c]
    tk = w.tasks[task]
    start = t
    if cpu.phase == records.P_IDLE:
        m.idle -= 1
        start = take_interrupts(w, c, t)
        account(w, c, start)
    waited = t - tk.since_ns
    if tk.pinned > 0 and waited > 0:
        m.pin_waits += 1
        m.pin_wait_ns += waited
        if tk.depth >= 0:
            w.requests[task * m.levels + tk.depth].pin_wait_ns += waited
        log_event(
            w, c, codes.E_PIN_WAIT, tk.since_ns, waited, task, running_op(w, task), -1, tk.idle_then, -1
        )
    if tk.last_cpu != c:
        m.migrations += 1
        tk.last_cpu = c
    tk.state = records.T_RUNNING
    switch_ns = w.costs[0].switch_ns
    # A worker, of no process, keeps the address space of its CPU.
    if NON_GLOBAL and tk.process >= 0:
        switch_ns += _enter_space(w, c, tk.process)
    m.switches += 1
    prefetch(w.requests, task * m.levels + max(tk.depth, 0))
    log_event(w, c, codes.E_SWITCH, start, switch_ns, task, running_op(w, task), -1, -1, cpu.task)
    cpu.task = task
    timeslice_ns = w.costs[0].timeslice_ns
    cpu.slice_begin_ns = start + switch_ns
    cpu.slice_end_ns = start + switch_ns + timeslice_ns
    end_ns = start + switch_ns
    if tk.resume == records.R_THINK and not (HOOKS_SWITCHES and tk.depth > 0):
        # Switching and computing are one stretch: no event can happen in between.
        now_ns = min(tk.think_left_ns, timeslice_ns)
        tk.think_left_ns -= now_ns
        end_ns += now_ns
        cpu.phase = records.P_THINK
        cpu.category = codes.C_COMPUTE if tk.depth == 0 else codes.C_IN_USE
        cpu.switch_ns = switch_ns
    else:
        cpu.phase = records.P_SWITCH
        cpu.category = codes.C_SWITCH
    set_key(w, c, end_ns)


@noinline
def _preempt(w: MachineState, c: int, t: int) -> None:
    """Preempt the task that computes on CPU `c` as soon as it has had its minimum time."""
    cpu = w.cpus[c]
    costs = w.costs[0]
    if costs.preempt_after_ns == 0 or cpu.phase != records.P_THINK:
        return
    running = w.tasks[cpu.task]
    if running.atomic > 0 or running.depth > 0:
        return
    end_ns = max(t, cpu.slice_begin_ns + costs.preempt_after_ns)
    if end_ns < cpu.slice_end_ns:
        cpu.slice_end_ns = end_ns
        until_ns = w.keys[w.machine[0].key_leaves + c] >> records.CPU_BITS
        if end_ns < until_ns:
            running.think_left_ns += until_ns - end_ns
            set_key(w, c, end_ns)


@inline
def make_ready(w: MachineState, task: int, t: int) -> None:
    """Give a task that can run an idle CPU that it may use, or queue it."""
    m = w.machine[0]
    tk = w.tasks[task]
    tk.state = records.T_READY
    tk.since_ns = t
    last = tk.last_cpu
    if w.cpus[last].phase == records.P_IDLE:
        dispatch(w, last, task, t)
        return
    tk.next = -1
    if m.idle == 0 or tk.pinned > 0:
        _preempt(w, last, t)
    if tk.pinned > 0:
        tk.idle_then = m.idle
        cpu = w.cpus[last]
        if cpu.pin_tail >= 0:
            w.tasks[cpu.pin_tail].next = task
        else:
            cpu.pin_head = task
        cpu.pin_tail = task
        return
    if m.idle > 0:
        c = 0
        while w.cpus[c].phase != records.P_IDLE:
            c += 1
        dispatch(w, c, task, t)
        return
    if m.ready_tail >= 0:
        w.tasks[m.ready_tail].next = task
    else:
        m.ready_head = task
    m.ready_tail = task


@inline
def others_wait(w: MachineState, c: int) -> bool:
    """Whether a task waits that CPU `c` could run."""
    return w.machine[0].ready_head >= 0 or w.cpus[c].pin_head >= 0


@inline
def pick(w: MachineState, c: int, t: int) -> None:
    """Switch CPU `c`, which has given up its task, to the longest-waiting task, or leave it idle."""
    m = w.machine[0]
    cpu = w.cpus[c]
    pinned = cpu.pin_head
    free = m.ready_head
    if pinned >= 0 and (
        free < 0
        or w.tasks[pinned].since_ns < w.tasks[free].since_ns
        or (w.tasks[pinned].since_ns == w.tasks[free].since_ns and pinned < free)
    ):
        cpu.pin_head = w.tasks[pinned].next
        if cpu.pin_head < 0:
            cpu.pin_tail = -1
        dispatch(w, c, pinned, t)
    elif free >= 0:
        m.ready_head = w.tasks[free].next
        if m.ready_head < 0:
            m.ready_tail = -1
        dispatch(w, c, free, t)
    else:
        m.idle += 1
        cpu.phase = records.P_IDLE
        cpu.task = -1
        cpu.category = codes.C_IDLE
        clear_key(w, c)
