"""The event loop: what each CPU does next.

The next event is the smallest of the CPUs' keys and the first timer, timers first at equal times and lower
CPU numbers before higher ones. An event ends one stretch on one CPU; the CPU then passes through as many
instant phases as it can and settles into the next stretch, whose end is its new key. See `records` for the
phases.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api import actions
from pipeline.allocators.api.protocols import State
from pipeline.allocators.api.traits import HOOKS_SWITCHES
from pipeline.jit.marks import entry, inline, noinline, prefetch, wrap64
from pipeline.machine.engine import flushing, records, scheduler
from pipeline.machine.engine.accounting import (
    account,
    delay_by_interrupt,
    log_event,
    log_finding,
    log_operation,
    settle,
)
from pipeline.machine.engine.agenda import clear_timer, set_key, set_timer
from pipeline.machine.engine.allocator_call import call_allocator, switching_ns
from pipeline.machine.engine.locking import heir_takes, release, release_delay, try_lock
from pipeline.machine.engine.step_record import critical_ns, flush_ns, scan_ns
from pipeline.machine.engine.tables import MachineState
from pipeline.machine.engine.trace_rows import NO_MORE, NOT_READ, end_task, peek, take, waits_ns, when
from pipeline.schema import codes

# Sets of CPUs whose TLBs are flushed.
_ALL_CPUS = -1
_NO_CPUS = 0


@inline
def _stretch(w: MachineState, c: int, phase: int, category: int, end_ns: int) -> int:
    """The CPU is busy with `phase` until `end_ns`."""
    cpu = w.cpus[c]
    cpu.phase = phase
    cpu.category = category
    set_key(w, c, end_ns)
    return records.P_WAIT


@inline
def _think(w: MachineState, c: int, task: int, t: int) -> int:
    """Compute towards the next request, at most to the end of the time slice if others wait then."""
    cpu = w.cpus[c]
    tk = w.tasks[task]
    if t >= cpu.slice_end_ns:
        if tk.atomic == 0 and scheduler.others_wait(w, c):
            # Not idle any more for the purpose of choosing a CPU: the others go first here.
            cpu.phase = records.P_PICK
            tk.resume = records.R_THINK
            scheduler.make_ready(w, task, t)
            return records.P_PICK
        cpu.slice_end_ns = t + w.costs[0].timeslice_ns
    now_ns = min(tk.think_left_ns, cpu.slice_end_ns - t)
    tk.think_left_ns -= now_ns
    category = codes.C_COMPUTE if tk.depth == 0 else codes.C_IN_USE
    return _stretch(w, c, records.P_THINK, category, t + now_ns)


@inline
def _ask(w: MachineState, c: int, task: int, t: int) -> int:
    """The task asks for a mapping."""
    tk = w.tasks[task]
    r = w.requests[task * w.machine[0].levels + tk.depth]
    r.asked_ns = t
    r.cpu_map = c
    r.cpu_unmap = c
    r.locked_ns = -1
    r.map_wait_ns = 0
    r.map_hold_ns = 0
    r.unmap_wait_ns = 0
    r.unmap_hold_ns = 0
    r.asleep_ns = 0
    r.flush_op = -1
    r.probed = 0
    r.scanned = 0
    r.local_flushes = 0
    r.sleeps = 0
    r.holder = -1
    r.map_lock = -1
    r.unmap_lock = -1
    r.waited_ns = -1
    r.walk_ns = 0
    r.step = 0
    r.locked_once = 0
    # Low memory is mapped for good: kmap() returns before it asks the allocator.
    return records.P_DIRECT if _is_lowmem(w, r) else records.P_STEP


@inline
def _is_lowmem(w: MachineState, r: Any) -> bool:
    return (w.machine[0].lowmem_kinds >> r.kind) & 1 != 0


@inline
def _step(w: MachineState, a: State, c: int, task: int, i: int, t: int) -> int:
    """Call the allocator, price what it did and let that time pass before its action."""
    m = w.machine[0]
    cpu = w.cpus[c]
    r = w.requests[i]
    d = w.step_cost[0]
    action = call_allocator(w, a, i, c)
    cpu.action = action
    if action == actions.LOCK:
        cpu.argument = d.lock
    elif action in (actions.FLUSH_MASK, actions.SHOOT_DOWN):
        cpu.argument = d.cpu_mask
    else:
        cpu.argument = d.queue
    if d.pin != 0:
        w.tasks[task].pinned += d.pin
    if d.atomic != 0:
        w.tasks[task].atomic += d.atomic
    if d.finding >= 0:
        log_finding(w, c, d.finding, t, task, r.op, r.slot)
    costs = w.costs[0]
    work_ns = critical_ns(d, costs) + d.lines_ns
    if d.probes > 0:
        r.probed += d.probes
        m.probed += d.probes
    if d.scans > 0:
        cpu.scan_ns = scan_ns(d, costs)
        work_ns += cpu.scan_ns
        r.scanned += d.scanned
        m.scans += d.scans
        m.scanned += d.scanned
        m.freed += d.freed
        log_event(w, c, codes.E_SCAN, t, cpu.scan_ns, task, r.op, -1, d.scanned, d.freed)
    if d.invalidations > 0:
        cpu.flush_ns = flush_ns(d, costs)
        work_ns += cpu.flush_ns
        r.local_flushes += d.invalidations
        m.local_flushes += d.invalidations
    if action == actions.REPEAT_ALL:
        cpu.argument = cpu.scan_ns + cpu.flush_ns
        flushing.invalidate_elsewhere(w, a, c)
    if work_ns > 0:
        prefetch(a.tlb, max(r.slot, 0) * m.cpus + c)
        return _stretch(w, c, records.P_WORK, codes.C_CRITICAL, t + work_ns)
    return records.P_ACT


@inline
def _report_if_atomic(w: MachineState, c: int, task: int, i: int, t: int) -> None:
    """The task leaves its CPU in the course of request `i`: a hazard if it holds what forbids that."""
    tk = w.tasks[task]
    if tk.atomic > 0:
        r = w.requests[i]
        # A nested request that has no slot yet sleeps within the mapping round it.
        held = i - 1 if r.slot < 0 and tk.depth > 0 else i
        log_finding(w, c, codes.SLEEP_WHILE_ATOMIC, t, task, r.op, w.requests[held].slot)


@noinline
def _fall_asleep(w: MachineState, task: int, i: int, queue: int, t: int) -> None:
    """Put the task at the tail of the wait queue; it still runs until it gives up its CPU."""
    tk = w.tasks[task]
    q = w.queues[queue]
    tk.next = -1
    tk.queue = queue
    if q.sleepers > 0:
        w.tasks[q.tail].next = task
    else:
        q.head = task
    q.tail = task
    q.sleepers += 1
    w.requests[i].sleeps += 1
    w.machine[0].sleeps += 1
    tk.since_ns = t


@noinline
def _wake(w: MachineState, c: int, task: int, i: int, most: int, t: int) -> int:
    """Wake up to `most` sleepers, first come first; return how many."""
    m = w.machine[0]
    queue = w.cpus[c].argument
    q = w.queues[queue]
    woken = 0
    while woken < most and q.sleepers > 0:
        sleeper = q.head
        tk = w.tasks[sleeper]
        q.head = tk.next
        q.sleepers -= 1
        woken += 1
        tk.queue = -1
        slept_ns = t - tk.since_ns
        r = w.requests[sleeper * m.levels + tk.depth]
        r.asleep_ns += slept_ns
        m.asleep_ns += slept_ns
        m.sleep_max_ns = max(m.sleep_max_ns, slept_ns)
        log_event(w, tk.last_cpu, codes.E_SLEEP, tk.since_ns, slept_ns, sleeper, r.op, -1, queue, task)
        # A task that is still on its way off the CPU finds itself woken when it gets there.
        if tk.state == records.T_ASLEEP:
            tk.resume = records.R_STEP
            scheduler.make_ready(w, sleeper, t)
    if woken > 0:
        m.wakes += 1
        m.woken += woken
        log_event(w, c, codes.E_WAKE, t, woken * w.costs[0].wake_ns, task, w.requests[i].op, -1, woken, queue)
    return woken


@inline
def _act(w: MachineState, a: State, c: int, task: int, i: int, t: int) -> int:
    """Carry out the action that the allocator returned."""
    cpu = w.cpus[c]
    action = cpu.action
    if action == actions.LOCK:
        return records.P_STEP if try_lock(w, c, i, cpu.argument, t) else records.P_WAIT
    if action in (actions.UNLOCK, actions.SLEEP):
        if action == actions.SLEEP:
            _report_if_atomic(w, c, task, i, t)
            _fall_asleep(w, task, i, cpu.argument, t)
        if cpu.held_lock >= 0:
            delay_ns = release_delay(w, c)
            if delay_ns > 0:
                return _stretch(w, c, records.P_RELEASE, codes.C_CRITICAL, t + delay_ns)
        return _release(w, c, task, i, t)
    if action == actions.DONE:
        return _map_is_done(w, a, c, i, t) if w.requests[i].unmapping == codes.MAP else records.P_DONE
    if action in (actions.FLUSH_ALL, actions.FLUSH_MASK):
        if action == actions.FLUSH_ALL:
            cpu.argument = _ALL_CPUS
        return _stretch(w, c, records.P_FLUSH, codes.C_FLUSH, flushing.begin_flush(w, c, i, cpu.argument, t))
    if action == actions.FLUSH_LOCAL:
        cpu.argument = wrap64(1 << c)
        return _stretch(w, c, records.P_FLUSH, codes.C_FLUSH, flushing.begin_local_flush(w, c, i, t))
    if action == actions.REPEAT_ALL and w.machine[0].cpus > 1:
        end = flushing.begin_repeat(w, c, i, _ALL_CPUS, cpu.argument, t)
        cpu.argument = _NO_CPUS
        return _stretch(w, c, records.P_FLUSH, codes.C_FLUSH, end)
    if action == actions.SHOOT_DOWN:
        end = flushing.begin_repeat(w, c, i, cpu.argument, w.costs[0].invalidate_ns, t)
        cpu.argument = _NO_CPUS
        return _stretch(w, c, records.P_FLUSH, codes.C_FLUSH, end)
    if action in (actions.WAKE_ALL, actions.WAKE_ONE):
        woken = _wake(w, c, task, i, 1 if action == actions.WAKE_ONE else w.machine[0].tasks, t)
        cpu.action = actions.STEP
        if woken > 0:
            return _stretch(w, c, records.P_WORK, codes.C_SWITCH, t + woken * w.costs[0].wake_ns)
    if action == actions.PREFAULT:
        return _prefault(w, c, task, i, t)
    if action == actions.ATTEMPT:
        flushing.touch_mapping(w, a, c, i, t)
        cpu.action = actions.STEP
        return _stretch(w, c, records.P_WORK, codes.C_IN_USE, t + w.requests[i].hold_left_ns)
    return records.P_STEP


@noinline
def _prefault(w: MachineState, c: int, task: int, i: int, t: int) -> int:
    """Block now for what request `i`, and those nested in it, would wait and block while it is mapped."""
    r = w.requests[i]
    if r.block_left_ns == 0:
        return records.P_STEP
    _report_if_atomic(w, c, task, i, t)
    until = t + r.block_left_ns
    r.prefaulted_ns += r.block_left_ns
    r.block_left_ns = 0
    set_timer(w, task, until, records.R_PREFAULTED)
    return records.P_PICK


@inline
def _release(w: MachineState, c: int, task: int, i: int, t: int) -> int:
    """Release the lock, if one is held, and go on with what the release was for."""
    cpu = w.cpus[c]
    if cpu.held_lock >= 0:
        release(w, c, i, t)
    tk = w.tasks[task]
    if cpu.action == actions.SLEEP and tk.queue >= 0:
        tk.state = records.T_ASLEEP
        return records.P_PICK
    return records.P_STEP


@inline
def _map_is_done(w: MachineState, a: State, c: int, i: int, t: int) -> int:
    """The mapping can be used: the task touches it."""
    m = w.machine[0]
    r = w.requests[i]
    r.mapped_ns = t
    # Where it asked and slept may have been another CPU.
    r.cpu_map = c
    if r.served == codes.HIT:
        m.hits += 1
    elif r.served == codes.MISS:
        m.misses += 1
    elif r.served == codes.FALLBACK:
        m.fallbacks += 1
        log_event(w, c, codes.E_FALLBACK, t, 0, r.task, r.op, r.slot, -1, -1)
    m.mapped += 1
    m.max_mapped = max(m.max_mapped, m.mapped)
    m.map_ns += t - r.asked_ns
    m.map_max_ns = max(m.map_max_ns, t - r.asked_ns)
    flushing.touch_mapping(w, a, c, i, t)
    prefetch(w.rows, w.tasks[r.task].at)
    return records.P_MAPPED


@inline
def _towards_row(w: MachineState, c: int, task: int, at: int, t: int) -> int:
    """Start the request of row `at`: wait off CPU if it says so, else compute at once."""
    ready = when(w, task, at, t)
    wait_ns = waits_ns(w, task, at)
    take(w, task, at)
    tk = w.tasks[task]
    if ready > t and tk.atomic > 0 and wait_ns == 0:
        # It is early, but waits for nothing: it keeps the CPU that it may not leave.
        tk.think_left_ns += ready - t
        ready = t
    if ready > t:
        _report_if_atomic(w, c, task, task * w.machine[0].levels + tk.depth, t)
        set_timer(w, task, ready, records.R_THINK)
        return records.P_PICK
    return _think(w, c, task, t)


@inline
def _inside(w: MachineState, a: State, c: int, task: int, i: int, t: int) -> int:
    """The task has something mapped: do the next nested operation, or finish this one."""
    m = w.machine[0]
    tk = w.tasks[task]
    if m.levels > 1:
        at = peek(w, task)
        if at == NOT_READ:
            return _stretch(w, c, records.P_MAPPED, codes.C_IN_USE, t)
        if at != NO_MORE and w.rows[at].depth > tk.depth:
            return _towards_row(w, c, task, at, t)
    r = w.requests[i]
    if r.block_left_ns > 0:
        _report_if_atomic(w, c, task, i, t)
        until = t + r.block_left_ns
        r.block_left_ns = 0
        set_timer(w, task, until, records.R_FINISH)
        return records.P_PICK
    if m.levels > 1:
        # A nested operation may have ended on another CPU.
        flushing.touch_mapping(w, a, c, i, t)
    return _use(w, c, i, t)


@inline
def _use(w: MachineState, c: int, i: int, t: int) -> int:
    """Use the mapping for what is left of its hold, page-table walks first."""
    r = w.requests[i]
    use_ns = r.hold_left_ns + r.walk_ns
    r.hold_left_ns = 0
    r.walk_ns = 0
    if use_ns > 0:
        return _stretch(w, c, records.P_USE, codes.C_IN_USE, t + use_ns)
    return records.P_UNMAP


@inline
def _ask_unmap(w: MachineState, c: int, i: int, t: int) -> int:
    """The use is over: the task asks to unmap."""
    r = w.requests[i]
    r.unmap_asked_ns = t
    r.cpu_unmap = c
    r.unmapping = codes.UNMAP
    r.locked_once = 0
    r.step = 0
    return records.P_DONE if _is_lowmem(w, r) else records.P_STEP


@inline
def _end_operation(w: MachineState, task: int, i: int, t: int) -> int:
    """The unmap is complete: go on in the mapping round it, if there is one."""
    w.requests[i].done_ns = t
    w.machine[0].mapped -= 1
    log_operation(w, i)
    tk = w.tasks[task]
    tk.depth -= 1
    return records.P_MAPPED if tk.depth >= 0 else records.P_NEXT


@inline
def _next(w: MachineState, c: int, task: int, t: int) -> int:
    """The task has nothing mapped: go on to its next row."""
    tk = w.tasks[task]
    tk.free_ns = t
    at = peek(w, task)
    if at == NO_MORE:
        end_task(w, task)
        return records.P_PICK
    if at == NOT_READ:
        if w.machine[0].loop == records.CLOSED:
            return _stretch(w, c, records.P_NEXT, codes.C_COMPUTE, t)
        # Unread rows are due no earlier than the horizon; `admit` finds the task when its row comes.
        tk.state = records.T_DORMANT
        return records.P_PICK
    return _towards_row(w, c, task, at, t)


@noinline
def _switch_out(w: MachineState, a: State, c: int, task: int, t: int) -> bool:
    """Switch out what the task has mapped; return whether that is done."""
    if w.cpus[c].phase == records.P_LEAVE:
        return True
    leave_ns = switching_ns(w, a, task, c, 0)
    if leave_ns == 0:
        return True
    _stretch(w, c, records.P_LEAVE, codes.C_SWITCH, t + leave_ns)
    return False


@inline
def _give_up_cpu(w: MachineState, a: State, c: int, task: int, t: int) -> int:
    """The CPU takes its next task, once what this one has mapped is switched out."""
    if not HOOKS_SWITCHES or _switch_out(w, a, c, task, t):
        scheduler.pick(w, c, t)
    return records.P_WAIT


@inline
def _arrive(w: MachineState, a: State, c: int, task: int, t: int) -> int:
    """The task has its CPU: what it has mapped is switched in."""
    arrive_ns = switching_ns(w, a, task, c, 1)
    return (
        _stretch(w, c, records.P_ARRIVE, codes.C_SWITCH, t + arrive_ns) if arrive_ns > 0 else records.P_RESUME
    )


@inline
def _resume(w: MachineState, a: State, c: int, task: int, i: int, t: int) -> int:
    """The task has its CPU: go on where it left off."""
    if w.tasks[task].resume == records.R_STEP:
        return records.P_STEP
    if w.tasks[task].resume == records.R_PREFAULTED:
        w.requests[i].asked_ns = t
        return records.P_STEP
    if HOOKS_SWITCHES and w.tasks[task].resume == records.R_THINK:
        return _think(w, c, task, t)
    flushing.touch_mapping(w, a, c, i, t)
    return _use(w, c, i, t)


@inline
def _cpu_event(w: MachineState, a: State, c: int, t: int) -> int:
    """One stretch on CPU `c` has ended at `t`. Return S_RUNNING, or S_NEED_ROWS."""
    m = w.machine[0]
    cpu = w.cpus[c]
    if delay_by_interrupt(w, c, t):
        return records.S_RUNNING
    account(w, c, t)
    phase = cpu.phase
    task = cpu.task
    tk = w.tasks[task]
    i = task * m.levels + tk.depth
    if phase == records.P_WORK:
        phase = records.P_ACT
    elif phase == records.P_SWITCH:
        phase = _arrive(w, a, c, task, t) if HOOKS_SWITCHES else records.P_RESUME
    elif phase == records.P_THINK:
        # More to compute: the time slice is over.
        phase = _think(w, c, task, t) if tk.think_left_ns > 0 else _ask(w, c, task, t)
    elif phase == records.P_USE:
        phase = records.P_UNMAP
    elif phase == records.P_SPIN:
        phase = records.P_STEP if heir_takes(w, c, i, t) else records.P_WAIT
    elif phase == records.P_RELEASE:
        phase = _release(w, c, task, i, t)
    elif phase == records.P_FLUSH:
        flushing.end_flush(w, cpu.argument)
        phase = records.P_STEP
    elif HOOKS_SWITCHES and phase == records.P_LEAVE:
        phase = records.P_PICK
    elif HOOKS_SWITCHES and phase == records.P_ARRIVE:
        phase = records.P_RESUME
    while phase != records.P_WAIT:
        if phase == records.P_STEP:
            phase = _step(w, a, c, task, i, t)
        elif phase == records.P_ACT:
            phase = _act(w, a, c, task, i, t)
        elif phase == records.P_MAPPED:
            phase = _inside(w, a, c, task, i, t)
        elif phase == records.P_UNMAP:
            phase = _ask_unmap(w, c, i, t)
        elif phase == records.P_DIRECT:
            w.requests[i].served = codes.DIRECT
            phase = _map_is_done(w, a, c, i, t)
        elif phase == records.P_DONE:
            phase = _end_operation(w, task, i, t)
            i -= 1
        elif phase == records.P_NEXT:
            phase = _next(w, c, task, t)
        elif phase == records.P_RESUME:
            phase = _resume(w, a, c, task, i, t)
        else:
            phase = _give_up_cpu(w, a, c, task, t)
    if cpu.phase in (records.P_NEXT, records.P_MAPPED):
        # The event is not over: it goes on, before any other, when the row has been read.
        m.stalled = c + 1
        return records.S_NEED_ROWS
    return records.S_RUNNING


@entry
def run(w: MachineState, a: State, budget: int) -> int:
    """Simulate until something is needed from outside; return why (records.S_*).

    At most `budget` events happen in one call, so that the caller can look up from time to time.
    """
    m = w.machine[0]
    for _ in range(budget):
        if m.operations_logged >= m.log_operations or m.events_logged >= m.log_events:
            return records.S_LOG_FULL
        if m.stalled > 0:
            stalled = m.stalled - 1
            m.stalled = 0
            if _cpu_event(w, a, stalled, m.now_ns) == records.S_NEED_ROWS:
                return records.S_NEED_ROWS
        key, timer = w.keys[1], w.timers[1]
        key_ns, timer_ns = key >> records.CPU_BITS, timer >> records.TASK_BITS
        t = min(key_ns, timer_ns)
        if m.complete == 0 and t >= m.horizon_ns and (m.unstarted > 0 or m.loop != records.CLOSED):
            return records.S_NEED_ROWS
        if key == records.NEVER and timer == records.NO_TIMER:
            if m.live == 0:
                return records.S_FINISHED
            return records.S_DEADLOCK if m.complete != 0 else records.S_NEED_ROWS
        if t >= records.END_OF_TIME_NS:
            return records.S_TOO_LONG
        m.now_ns = t
        if timer_ns <= key_ns:
            task = timer & records.TASK_MASK
            clear_timer(w, task)
            prefetch(w.tasks, w.timers[1] & records.TASK_MASK)
            scheduler.make_ready(w, task, timer_ns)
            prefetch(a.pages, w.requests[task * m.levels + max(w.tasks[task].depth, 0)].page)
        elif _cpu_event(w, a, key & records.CPU_MASK, t) == records.S_NEED_ROWS:
            return records.S_NEED_ROWS
    return records.S_BUDGET


@entry
def finish(w: MachineState) -> None:
    """Book every CPU's time up to the end of the run."""
    m = w.machine[0]
    for c in range(m.cpus):
        settle(w, c, m.now_ns)
