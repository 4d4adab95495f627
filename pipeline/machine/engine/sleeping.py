"""Wait queues: the tasks that sleep for a slot, and waking them.

    queue.sleepers   number of tasks in the queue
    queue.head       the task that has slept longest, which is woken first; the others follow by `task.next`
    queue.tail       the task that fell asleep last

A task enters its queue before it gives up its CPU. If it is woken in between, it does not leave the CPU.
"""

from __future__ import annotations

from pipeline.jit.marks import noinline
from pipeline.machine.engine import records, scheduler
from pipeline.machine.engine.accounting import log_event, log_finding
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes


@noinline
def report_sleep(w: MachineState, c: int, task: int, i: int, t: int) -> None:
    """Report a hazard: the task leaves its CPU during request `i` although a mapping forbids it."""
    r = w.requests[i]
    # A nested request without a slot sleeps within the enclosing mapping.
    held = i - 1 if r.slot < 0 and w.tasks[task].depth > 0 else i
    log_finding(w, c, codes.SLEEP_WHILE_ATOMIC, t, task, r.op, w.requests[held].slot)


@noinline
def fall_asleep(w: MachineState, c: int, task: int, i: int, queue: int, t: int) -> None:
    """Append the task to the wait queue; it runs until it gives up its CPU."""
    tk = w.tasks[task]
    if tk.atomic > 0:
        report_sleep(w, c, task, i, t)
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
def wake(w: MachineState, c: int, task: int, i: int, most: int, t: int) -> int:
    """Wake up to `most` sleepers, first come first served; return how many."""
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
        # A task that is still on its way off the CPU finds out there that it was woken.
        if tk.state == records.T_ASLEEP:
            tk.resume = records.R_STEP
            scheduler.make_ready(w, sleeper, t)
    if woken > 0:
        m.wakes += 1
        m.woken += woken
        log_event(w, c, codes.E_WAKE, t, woken * w.costs[0].wake_ns, task, w.requests[i].op, -1, woken, queue)
    return woken
