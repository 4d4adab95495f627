"""The event loop, which determines what each CPU does next.

The next event is the smallest of the CPUs' keys and the first timer. At equal times, timers precede CPUs and
lower CPU numbers precede higher ones. An event ends one stretch on one CPU. The CPU then passes through as
many instant phases as it can and begins its next stretch, whose end is its new key. If no other event can
happen during a stretch, it is passed without a new event; this applies to most critical sections. See
`records` for the phases.

Each phase is one function with one call site, so the compiled loop contains it once. Rarely needed code is
kept out of the loop (`noinline`).
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api import actions
from pipeline.allocators.api.protocols import State
from pipeline.allocators.api.traits import AREAS, HOOKS_SWITCHES, WORKERS
from pipeline.jit.marks import entry, inline, noinline, prefetch, wrap64
from pipeline.machine.costs import MOST_WORK_NS
from pipeline.machine.engine import flushing, records, scheduler
from pipeline.machine.engine.accounting import (
    account,
    log_event,
    log_finding,
    log_operation,
)
from pipeline.machine.engine.agenda import clear_timer, first_other_key, set_key, set_timer
from pipeline.machine.engine.allocator_call import call_allocator, switching_ns
from pipeline.machine.engine.interrupts import catch_up, delay_by_interrupt, settle
from pipeline.machine.engine.locking import (
    got,
    heir_takes,
    lock_word_ns,
    release,
    release_delay,
    try_lock,
)
from pipeline.machine.engine.remaining import keep, log_rest, take_over, wake_waiter
from pipeline.machine.engine.sleeping import fall_asleep, report_sleep, wake
from pipeline.machine.engine.tables import MachineState
from pipeline.machine.engine.trace_rows import (
    NO_MORE,
    NOT_READ,
    end_task,
    needs_rows,
    peek,
    set_limit,
    take,
    waits_ns,
    when,
)
from pipeline.machine.engine.workers import begin_work, end_work, wake_worker
from pipeline.schema import codes

# Sets of CPUs whose TLBs are flushed.
_ALL_CPUS = -1
_NO_CPUS = 0


@inline
def _stretch(w: MachineState, c: int, phase: int, category: int, end_ns: int) -> int:
    """Keep the CPU busy until `end_ns`; `phase` follows."""
    cpu = w.cpus[c]
    cpu.phase = phase
    cpu.category = category
    cpu.until_ns = end_ns
    return records.P_BUSY


@inline
def _critical(w: MachineState, c: int, phase: int, end_ns: int) -> int:
    """Keep the CPU busy with kernel work until `end_ns`; `phase` follows, at once if nothing is earlier."""
    m = w.machine[0]
    cpu = w.cpus[c]
    others_ns = min(m.limit_ns, cpu.irq_at_ns, w.timers[1] >> records.TASK_BITS)
    if m.ahead == 0 or end_ns >= others_ns or (end_ns << records.CPU_BITS) | c > first_other_key(w, c):
        return _stretch(w, c, phase, codes.C_CRITICAL, end_ns)
    m.ahead -= 1
    m.now_ns = end_ns
    cpu.category = codes.C_CRITICAL
    account(w, c, end_ns)
    return phase


@inline
def _compute(w: MachineState, c: int, task: int, t: int) -> int:
    """Compute until the next request, at most until the end of the time slice if other tasks wait then."""
    cpu = w.cpus[c]
    tk = w.tasks[task]
    if t >= cpu.slice_end_ns:
        if tk.atomic == 0 and scheduler.others_wait(w, c):
            # This CPU no longer counts as idle when a CPU is chosen: the other tasks go first here.
            cpu.phase = records.P_PICK
            tk.resume = records.R_THINK
            scheduler.make_ready(w, task, t)
            return records.P_PICK
        cpu.slice_begin_ns = t
        cpu.slice_end_ns = t + w.costs[0].timeslice_ns
    now_ns = min(tk.think_left_ns, cpu.slice_end_ns - t)
    tk.think_left_ns -= now_ns
    category = codes.C_COMPUTE if tk.depth == 0 else codes.C_IN_USE
    return _stretch(w, c, records.P_THINK, category, t + now_ns)


@inline
def _ask(w: MachineState, c: int, task: int, t: int) -> int:
    """Request a mapping for the task."""
    tk = w.tasks[task]
    i = task * w.machine[0].levels + tk.depth
    r = w.requests[i]
    if AREAS and r.part == codes.PART_UNMAP:
        return _ask_unmap_of_other(w, c, task, i, t)
    r.asked_ns = t
    r.cpu_map = c
    r.cpu_unmap = c
    r.locked_ns = -1
    r.unmap_lead_ns = 0
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
    # Low memory is mapped permanently: kmap() returns without calling the allocator.
    if _is_lowmem(w, r):
        r.served = codes.DIRECT
        return records.P_READY
    return records.P_STEP


@noinline
def _ask_unmap_of_other(w: MachineState, c: int, task: int, i: int, t: int) -> int:
    """Request the unmap of a mapping that another row made; wait off CPU if it is not made yet."""
    if not take_over(w, task, i):
        return records.P_PICK
    return _ask_unmap(w, c, i, t)


@inline
def _is_lowmem(w: MachineState, r: Any) -> bool:
    return (w.machine[0].lowmem_kinds >> r.kind) & 1 != 0


@inline
def _step(w: MachineState, a: State, c: int, task: int, i: int, t: int) -> int:
    """Call the allocator and let the time of its step pass before its action."""
    m = w.machine[0]
    cpu = w.cpus[c]
    r = w.requests[i]
    d = w.step_cost[0]
    if WORKERS:
        begin_work(r, t)
    action = call_allocator(w, a, i, c)
    cpu.action = action
    cpu.argument = d.queue
    work_ns = min(d.work_ns, MOST_WORK_NS)
    if action == actions.LOCK:
        cpu.argument = d.lock
        work_ns += lock_word_ns(w, c, d.lock)
    if d.probes > 0:
        r.probed = min(r.probed + d.probes, records.MOST_COUNTED)
        m.probed += d.probes
    if d.special != 0:
        work_ns += _note_special(w, c, task, i, t)
    if action in (actions.FLUSH_MASK, actions.SHOOT_DOWN):
        cpu.argument = d.cpu_mask
    elif action == actions.REPEAT_ALL:
        cpu.argument = d.scan_ns + d.flush_ns
        flushing.invalidate_elsewhere(w, a, c)
    if work_ns > 0:
        prefetch(a.tlb, max(r.slot, 0) * m.cpus + c)
        return _critical(w, c, records.P_WORK, t + work_ns)
    if m.ahead == 0:
        return _pause(w, c, records.P_WORK)
    m.ahead -= 1
    return records.P_WORK


@inline
def _pause(w: MachineState, c: int, phase: int) -> int:
    """Stop in the middle of the event and return to the caller: such steps may never end."""
    w.cpus[c].phase = phase
    w.machine[0].stalled = c + 1
    return records.P_PAUSED


@noinline
def _note_special(w: MachineState, c: int, task: int, i: int, t: int) -> int:
    """Record the rare effects of a step; return their time in ns."""
    m = w.machine[0]
    cpu = w.cpus[c]
    r = w.requests[i]
    d = w.step_cost[0]
    w.tasks[task].pinned += d.pin
    w.tasks[task].atomic += d.atomic
    if d.finding >= 0:
        log_finding(w, c, d.finding, t, task, r.op, r.slot)
    d.scan_ns = min(d.scan_ns, MOST_WORK_NS)
    if d.scans > 0:
        cpu.scan_ns = d.scan_ns
        r.scanned = min(r.scanned + d.scanned, records.MOST_COUNTED)
        m.scans += d.scans
        m.scanned += d.scanned
        m.freed += d.freed
        freed = min(d.freed, records.MOST_COUNTED)
        log_event(w, c, codes.E_SCAN, t, d.scan_ns, task, r.op, -1, d.scanned, freed)
    d.flush_ns = min(d.flush_ns, MOST_WORK_NS)
    cpu.flush_ns = d.flush_ns
    cpu.range_first = d.range_first
    cpu.range_slots = d.range_slots
    r.local_flushes = min(r.local_flushes + d.invalidations, records.MOST_COUNTED)
    m.local_flushes += d.invalidations
    return d.scan_ns + d.flush_ns + d.lines_ns


@inline
def _act(w: MachineState, a: State, c: int, task: int, i: int, t: int) -> int:
    """Carry out the action that the allocator returned."""
    cpu = w.cpus[c]
    action = cpu.action
    if action == actions.LOCK:
        return records.P_LOCKED if try_lock(w, c, i, cpu.argument, t) else records.P_WAIT
    if action in (actions.UNLOCK, actions.SLEEP):
        if action == actions.SLEEP:
            fall_asleep(w, c, task, i, cpu.argument, t)
        if cpu.held_lock >= 0:
            delay_ns = release_delay(w, c)
            if delay_ns > 0:
                return _critical(w, c, records.P_RELEASE, t + delay_ns)
        return records.P_RELEASE
    if action == actions.DONE:
        if WORKERS and w.requests[i].unmapping == codes.WORK:
            return records.P_WORK_DONE
        return records.P_READY if w.requests[i].unmapping == codes.MAP else records.P_DONE
    if action == actions.STEP:
        return records.P_STEP
    return _act_out_of_line(w, a, c, task, i, t)


@noinline
def _act_out_of_line(w: MachineState, a: State, c: int, task: int, i: int, t: int) -> int:
    """Carry out one of the actions that most operations do not need."""
    cpu = w.cpus[c]
    action = cpu.action
    if action in (actions.FLUSH_ALL, actions.FLUSH_MASK):
        if action == actions.FLUSH_ALL:
            cpu.argument = _ALL_CPUS
        return _stretch(w, c, records.P_FLUSH, codes.C_FLUSH, flushing.begin_flush(w, c, i, cpu.argument, t))
    if action == actions.FLUSH_LOCAL:
        cpu.argument = wrap64(1 << c)
        # Of everything, whatever range an earlier step has set.
        cpu.range_slots = 0
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
        woken = wake(w, c, task, i, 1 if action == actions.WAKE_ONE else w.machine[0].tasks, t)
        cpu.action = actions.STEP
        if woken > 0:
            return _stretch(w, c, records.P_WORK, codes.C_SWITCH, t + woken * w.costs[0].wake_ns)
    if WORKERS and action == actions.WAKE_WORKER:
        cpu.action = actions.STEP
        if wake_worker(w, cpu.argument, t):
            return _stretch(w, c, records.P_WORK, codes.C_SWITCH, t + w.costs[0].wake_ns)
    if action == actions.PREFAULT:
        return _prefault(w, c, task, i, t)
    if action == actions.ATTEMPT:
        flushing.touch_again(w, a, c, i, t)
        cpu.action = actions.STEP
        return _stretch(w, c, records.P_WORK, codes.C_IN_USE, t + w.requests[i].hold_left_ns)
    return records.P_STEP


@inline
def _prefault(w: MachineState, c: int, task: int, i: int, t: int) -> int:
    """Block now for the time that request `i` and its nested requests would wait and block while mapped."""
    r = w.requests[i]
    if r.block_left_ns == 0:
        return records.P_STEP
    until = t + r.block_left_ns
    r.prefaulted_ns += r.block_left_ns
    r.block_left_ns = 0
    return _leave_cpu(w, c, task, i, t, until, records.R_PREFAULTED)


@inline
def _leave_cpu(w: MachineState, c: int, task: int, i: int, t: int, until: int, resume: int) -> int:
    """Take the task off its CPU, during request `i`, until then; it continues at `resume`."""
    if w.tasks[task].atomic > 0:
        report_sleep(w, c, task, i, t)
    set_timer(w, task, until, resume)
    return records.P_PICK


@inline
def _release(w: MachineState, c: int, task: int, i: int, t: int) -> int:
    """Release the lock, if one is held, and continue with the action that required the release."""
    cpu = w.cpus[c]
    if cpu.held_lock >= 0:
        release(w, c, i, t)
    if cpu.action == actions.SLEEP and w.tasks[task].queue >= 0:
        w.tasks[task].state = records.T_ASLEEP
        return records.P_PICK
    return records.P_STEP


@inline
def _begin_use(w: MachineState, a: State, c: int, i: int, t: int) -> int:
    """Begin to use the mapping: the task touches it."""
    m = w.machine[0]
    r = w.requests[i]
    r.mapped_ns = t
    # The task may have made its request, and slept, on another CPU.
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
def _inside(w: MachineState, a: State, c: int, task: int, i: int, t: int) -> int:
    """Begin the next nested operation of a task with a mapping, or finish this operation."""
    nests = w.machine[0].levels > 1
    if nests:
        following = _look_for_nested(w, c, task)
        if following != records.P_MAPPED:
            return following
    r = w.requests[i]
    if r.block_left_ns > 0:
        until = t + r.block_left_ns
        r.block_left_ns = 0
        return _leave_cpu(w, c, task, i, t, until, records.R_FINISH)
    if nests:
        # A nested operation may have ended on another CPU.
        flushing.touch_again(w, a, c, i, t)
    return records.P_HOLD


@noinline
def _look_for_nested(w: MachineState, c: int, task: int) -> int:
    """Return P_ROW if the task's next row is nested in its mappings, else P_MAPPED."""
    at = peek(w, task)
    if at == NOT_READ:
        return _stall(w, c, records.P_MAPPED, codes.C_IN_USE)
    return records.P_ROW if at != NO_MORE and w.rows[at].depth > w.tasks[task].depth else records.P_MAPPED


@inline
def _stall(w: MachineState, c: int, phase: int, category: int) -> int:
    """Stop in the middle of the event: `phase` needs a row that has not been read."""
    w.cpus[c].phase = phase
    w.cpus[c].category = category
    w.machine[0].stalled = c + 1
    return records.P_STALLED


@inline
def _use(w: MachineState, c: int, i: int, t: int) -> int:
    """Use the mapping for the rest of its hold, after any page-table walks."""
    r = w.requests[i]
    use_ns = r.hold_left_ns + r.walk_ns
    r.hold_left_ns = 0
    r.walk_ns = 0
    if use_ns > 0:
        return _stretch(w, c, records.P_USE, codes.C_IN_USE, t + use_ns)
    return records.P_USE


@inline
def _ask_unmap(w: MachineState, c: int, i: int, t: int) -> int:
    """End the use and request the unmap."""
    r = w.requests[i]
    r.unmap_asked_ns = t
    r.cpu_unmap = c
    r.unmapping = codes.UNMAP
    r.locked_once = 0
    r.step = 0
    return records.P_DONE if _is_lowmem(w, r) else records.P_STEP


@noinline
def _leave_mapped(w: MachineState, task: int, i: int, t: int) -> int:
    """End the row of a mapping that another row unmaps."""
    wake_waiter(w, keep(w, i), t)
    w.tasks[task].depth -= 1
    return records.P_NEXT


@inline
def _end_operation(w: MachineState, task: int, i: int, t: int) -> int:
    """Complete the unmap: continue in the enclosing mapping, if there is one."""
    w.requests[i].done_ns = t
    w.machine[0].mapped -= 1
    log_operation(w, w.requests[i])
    tk = w.tasks[task]
    tk.depth -= 1
    return records.P_MAPPED if tk.depth >= 0 else records.P_NEXT


@inline
def _next(w: MachineState, c: int, task: int, t: int) -> int:
    """Continue a task without mappings at its next row."""
    tk = w.tasks[task]
    tk.free_ns = t
    at = peek(w, task)
    if at == NO_MORE:
        end_task(w, task)
        return records.P_PICK
    if at == NOT_READ:
        if w.machine[0].loop == records.CLOSED:
            return _stall(w, c, records.P_NEXT, codes.C_COMPUTE)
        # Unread rows are due no earlier than the horizon; `admit` resumes the task when its row arrives.
        tk.state = records.T_DORMANT
        return records.P_PICK
    return records.P_ROW


@inline
def _begin_row(w: MachineState, c: int, task: int, t: int) -> int:
    """Start the request of the task's next row: wait off CPU if the row requires it, else compute."""
    tk = w.tasks[task]
    at = tk.at
    ready = when(w, task, at, t)
    wait_ns = waits_ns(w, task, at)
    i = take(w, task, at)
    if ready > t and tk.atomic > 0 and wait_ns == 0:
        # The task is early but has no wait: it keeps the CPU that it may not leave.
        tk.think_left_ns += ready - t
        ready = t
    if ready > t:
        return _leave_cpu(w, c, task, i, t, ready, records.R_THINK)
    return records.P_COMPUTE


@noinline
def _switch_out(w: MachineState, a: State, c: int, task: int, t: int) -> bool:
    """Switch out the task's mappings; return whether that is complete."""
    if w.cpus[c].phase == records.P_LEAVE:
        return True
    leave_ns = switching_ns(w, a, task, c, 0)
    if leave_ns == 0:
        return True
    _stretch(w, c, records.P_LEAVE, codes.C_SWITCH, t + leave_ns)
    return False


@inline
def _give_up_cpu(w: MachineState, a: State, c: int, task: int, t: int) -> int:
    """Give the CPU to the next task after switching out this task's mappings."""
    if HOOKS_SWITCHES and not _switch_out(w, a, c, task, t):
        return records.P_BUSY
    scheduler.pick(w, c, t)
    return records.P_WAIT


@inline
def _arrive(w: MachineState, a: State, c: int, task: int, t: int) -> int:
    """Switch in the mappings of a task that has its CPU again."""
    arrive_ns = switching_ns(w, a, task, c, 1)
    return (
        _stretch(w, c, records.P_ARRIVE, codes.C_SWITCH, t + arrive_ns) if arrive_ns > 0 else records.P_RESUME
    )


@inline
def _resume(w: MachineState, a: State, c: int, task: int, i: int, t: int) -> int:
    """Continue a task that has its CPU again where it left off."""
    resume = w.tasks[task].resume
    if resume == records.R_STEP:
        return records.P_STEP
    if resume == records.R_PREFAULTED:
        w.requests[i].asked_ns = t
        return records.P_STEP
    if HOOKS_SWITCHES and resume == records.R_THINK:
        return records.P_COMPUTE
    flushing.touch_again(w, a, c, i, t)
    return records.P_HOLD


@inline
def _end_stretch(w: MachineState, a: State, c: int, task: int, i: int, t: int) -> int:
    """End the CPU's stretch; return the phase that follows."""
    cpu = w.cpus[c]
    phase = cpu.phase
    if phase == records.P_SWITCH:
        return _arrive(w, a, c, task, t) if HOOKS_SWITCHES else records.P_RESUME
    if phase == records.P_SPIN:
        return records.P_LOCKED if heir_takes(w, c, i, t) else records.P_WAIT
    if phase == records.P_FLUSH:
        flushing.end_flush(w, a, c, cpu.argument)
        return records.P_STEP
    if HOOKS_SWITCHES and phase == records.P_LEAVE:
        return records.P_PICK
    if HOOKS_SWITCHES and phase == records.P_ARRIVE:
        return records.P_RESUME
    return phase


@inline
def _cpu_event(w: MachineState, a: State, c: int) -> bool:
    """End one stretch on CPU `c`; false if a row must be read before the simulation can continue."""
    m = w.machine[0]
    cpu = w.cpus[c]
    t = m.now_ns
    if cpu.irq_at_ns <= t and delay_by_interrupt(w, c, t):
        return True
    account(w, c, t)
    task = cpu.task
    tk = w.tasks[task]
    i = task * m.levels + tk.depth
    phase = _end_stretch(w, a, c, task, i, t)
    # In the usual order of phases, so one pass of the loop handles many.
    while phase >= 0:
        if phase == records.P_THINK:
            # If there is more to compute, the time slice has ended.
            phase = records.P_COMPUTE if tk.think_left_ns > 0 else _ask(w, c, task, m.now_ns)
        if phase == records.P_USE:
            if AREAS and w.requests[i].part == codes.PART_MAP:
                phase = _leave_mapped(w, task, i, m.now_ns)
            else:
                phase = _ask_unmap(w, c, i, m.now_ns)
        if phase == records.P_STEP:
            phase = _step(w, a, c, task, i, m.now_ns)
        if phase == records.P_WORK:
            phase = _act(w, a, c, task, i, m.now_ns)
        if phase == records.P_LOCKED:
            phase = got(w, c, i, m.now_ns)
        if phase == records.P_RELEASE:
            phase = _release(w, c, task, i, m.now_ns)
        if phase == records.P_READY:
            phase = _begin_use(w, a, c, i, m.now_ns)
        if phase == records.P_DONE:
            phase = _end_operation(w, task, i, m.now_ns)
            i -= 1
        if phase == records.P_MAPPED:
            phase = _inside(w, a, c, task, i, m.now_ns)
        if phase == records.P_RESUME:
            phase = _resume(w, a, c, task, i, m.now_ns)
        if phase == records.P_HOLD:
            phase = _use(w, c, i, m.now_ns)
        if phase == records.P_NEXT:
            phase = _next(w, c, task, m.now_ns)
        if phase == records.P_ROW:
            phase = _begin_row(w, c, task, m.now_ns)
        if phase == records.P_COMPUTE:
            phase = _compute(w, c, task, m.now_ns)
        if WORKERS and phase == records.P_WORK_DONE:
            phase = end_work(w, c, task, i, m.now_ns)
        if phase == records.P_PICK:
            phase = _give_up_cpu(w, a, c, task, m.now_ns)
    if phase == records.P_BUSY:
        set_key(w, c, cpu.until_ns)
    return phase != records.P_STALLED


@noinline
def _why_not(w: MachineState, t: int, budget: int) -> int:
    """Return why no event can happen at `t`, which is not before the limit."""
    m = w.machine[0]
    if m.catch_up_ns <= m.limit_ns and t < records.END_OF_TIME_NS:
        catch_up(w)
        set_limit(w)
        # This is as much work as many events.
        m.unspent = budget
        return records.S_BUDGET
    if t >= m.horizon_ns and needs_rows(w):
        return records.S_NEED_ROWS
    if w.keys[1] == records.NEVER and w.timers[1] == records.NO_TIMER:
        if m.live == 0:
            return records.S_FINISHED
        return records.S_DEADLOCK if m.complete != 0 else records.S_NEED_ROWS
    return records.S_TOO_LONG


@entry
def run(w: MachineState, a: State, budget: int) -> int:
    """Simulate until something is needed from outside; return why (records.S_*).

    At most `budget` events happen in one call, so the caller regains control from time to time. A stretch, or
    a step without cost, that is passed without a new event counts as one event.
    """
    m = w.machine[0]
    while budget > 0:
        if (
            m.operations_logged >= m.log_operations
            or m.events_logged >= m.log_events
            or m.stretches_logged >= m.log_stretches
        ):
            m.unspent = budget
            return records.S_LOG_FULL
        # An event adds one entry at most.
        if AREAS and 2 * m.remaining >= m.mapping_slots:
            m.unspent = budget
            return records.S_TABLE_FULL
        c = m.stalled - 1
        if c >= 0:
            m.stalled = 0
        else:
            key, timer = w.keys[1], w.timers[1]
            key_ns, timer_ns = key >> records.CPU_BITS, timer >> records.TASK_BITS
            t = min(key_ns, timer_ns)
            if t >= m.limit_ns:
                return _why_not(w, t, budget)
            m.now_ns = t
            if timer_ns <= key_ns:
                task = timer & records.TASK_MASK
                clear_timer(w, task)
                prefetch(w.tasks, w.timers[1] & records.TASK_MASK)
                scheduler.make_ready(w, task, t)
                prefetch(a.pages, w.requests[task * m.levels + max(w.tasks[task].depth, 0)].page)
                budget -= 1
                continue
            c = key & records.CPU_MASK
        budget -= 1
        ahead = min(budget, records.MOST_AHEAD)
        m.ahead = ahead
        if not _cpu_event(w, a, c):
            return records.S_NEED_ROWS
        budget -= ahead - m.ahead
    return records.S_BUDGET


@entry
def finish(w: MachineState) -> int:
    """Book every CPU's time up to the end of the run, and log the mappings that remain.

    Returns S_LOG_FULL if it must be called again with an empty log, else S_FINISHED.
    """
    m = w.machine[0]
    for c in range(m.cpus):
        settle(w, c, m.now_ns)
    if AREAS and not log_rest(w):
        return records.S_LOG_FULL
    return records.S_FINISHED
